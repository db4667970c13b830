# make run: from a fresh clone to a running service. make test: the whole test suite.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= ../shared/data
export HOST PORT
.DEFAULT_GOAL := help

.PHONY: help setup run test lint eval train reindex packages clean

help: ## 显示可用的命令
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.runtime ## 建立虚拟环境并安装固定版本的依赖

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "需要 Python 3.11（没有找到 $(PYTHON)）"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt | $(BIN)/python
	$(BIN)/pip install --disable-pip-version-check --quiet -r requirements.txt
	@touch $@

$(VENV)/.development: requirements.txt requirements-dev.txt | $(BIN)/python
	$(BIN)/pip install --disable-pip-version-check --quiet -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime

$(VENV)/.evaluation: requirements.txt requirements-dev.txt training/requirements.txt | $(BIN)/python
	$(BIN)/pip install --disable-pip-version-check --quiet -r training/requirements.txt
	@touch $@ $(VENV)/.development $(VENV)/.runtime

run: setup ## 建库、载入示例、启动服务（HOST、PORT 可改）
	@$(BIN)/python app.py init
	@exec $(BIN)/python app.py serve

packages: # a browser with a Chinese font, and a reader of .doc files: only tests need them
	@command -v chromium >/dev/null && command -v antiword >/dev/null && \
	  fc-list 2>/dev/null | grep -qi 'noto.*cjk' || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
	      chromium fonts-noto-cjk antiword >/dev/null; } || \
	  echo "没有装上 chromium、fonts-noto-cjk、antiword：用到它们的测试将跳过"

test: $(VENV)/.development packages ## 检查代码并运行全部测试
	@$(MAKE) --no-print-directory lint
	@# Pages beside the rest: two cores, half the time. Each fails the target.
	$(BIN)/python -m pytest --ignore=tests/web & rest=$$!; \
	  $(BIN)/python -m pytest tests/web; web=$$?; wait $$rest && exit $$web

lint: $(VENV)/.development ## 代码检查：ruff、mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# EVAL adds options, as in: make eval EVAL="--set golden policy --svg reliability.svg"
eval: $(VENV)/.evaluation ## 与固定基线对比评测（EVAL 可加选项，如 --set、--json、--svg）
	$(BIN)/python -m benchmarks.evaluation $(addprefix --data ,$(wildcard ../shared/data)) $(EVAL)

# DATA is a folder in the layout that training/corpora.py reads. About half an hour on two cores.
train: $(VENV)/.evaluation ## 重新训练模型、排序和置信度（DATA 指定数据文件夹）
	$(BIN)/python -m training.encoder --data $(DATA) --half --out build/half
	$(BIN)/python -m training.encoder --data $(DATA)
	$(BIN)/python -m training.wordings --data $(DATA)
	$(BIN)/python -m training.ranking --data $(DATA) --encoder build/half
	$(BIN)/python -m training.confidence --data $(DATA) --encoder build/half

reindex: setup ## 从数据库重建索引（先停止服务）
	$(BIN)/python app.py reindex

clean: ## 删除虚拟环境和缓存，不动数据
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
