"""The list of websites: origins as browsers write them, clear refusals, nothing half done."""

import pytest

from kb.db import Database
from kb.errors import Conflict, NotFound
from kb.regions import Regions
from service.errors import InvalidRequest
from service.sites import MAX_ORIGINS, Site, Sites, origin_of


@pytest.fixture
def sites(database: Database, regions: Regions) -> Sites:
    return Sites(database, regions)


def test_a_site_is_found_by_its_key_with_its_origins_and_region(sites: Sites) -> None:
    added = sites.add(
        "city-portal",
        name="门户网站",
        origins=[
            "https://WWW.Example.gov.cn/",
            "http://10.0.0.8:8080",
            "https://www.example.gov.cn",
        ],
        region="平度市",
    )
    wanted = ("https://www.example.gov.cn", "http://10.0.0.8:8080")
    assert added == Site("city-portal", "门户网站", wanted, "370283")
    assert sites.find("city-portal") == added
    assert sites.list() == (added,)
    assert sites.knows("http://10.0.0.8:8080") and not sites.knows("http://10.0.0.8")


def test_a_key_is_taken_once_and_changed_only_on_purpose(sites: Sites) -> None:
    sites.add("portal", name="门户", origins=["https://a.example.cn"])
    with pytest.raises(Conflict, match="已有编号为“portal”的网站"):
        sites.add("portal", name="别的", origins=["https://b.example.cn"])
    assert sites.find("portal") == Site("portal", "门户", ("https://a.example.cn",))
    sites.add("portal", name="别的", origins=["https://b.example.cn"], replace=True)
    assert sites.list() == (Site("portal", "别的", ("https://b.example.cn",)),)
    assert not sites.knows("https://a.example.cn")


def test_a_removed_site_is_gone_at_once(sites: Sites) -> None:
    sites.add("portal", name="门户", origins=["https://a.example.cn"])
    sites.remove("portal")
    assert sites.find("portal") is None and sites.list() == ()
    with pytest.raises(NotFound, match="没有编号为“portal”的网站"):
        sites.remove("portal")


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://www.example.gov.cn", "https://www.example.gov.cn"),
        (" HTTPS://WWW.Example.Gov.CN:443/ ", "https://www.example.gov.cn"),
        ("http://example.gov.cn:80", "http://example.gov.cn"),
        ("http://example.gov.cn:443", "http://example.gov.cn:443"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[2001:DB8::1]:8080", "http://[2001:db8::1]:8080"),
        ("https://政务.中国", "https://xn--zfr164b.xn--fiqs8s"),
    ],
)
def test_origins_become_what_browsers_send(written: str, origin: str) -> None:
    assert origin_of(written) == origin


@pytest.mark.parametrize(
    "written",
    [
        "", "null", "*", "https://*", "https://*.example.gov.cn", "www.example.gov.cn",
        "https://", "https://a.cn/path", "https://a.cn?x", "https://a.cn#x", "https://u:p@a.cn",
        "https://a.cn@b.cn", "javascript:alert(1)", "file:///etc/passwd", "ftp://a.cn",
        "https://a.cn:99999", "https://a.cn:x", "https://a b.cn", "https://a.cn;b", "https://a.cn.",
        "https://a..cn", "https://-a.cn", "https://a.cn https://b.cn", "https://a.cn\r\nX: y",
        "https://" + "a" * 70 + ".cn",
    ],
)  # fmt: skip
def test_what_is_no_single_origin_is_refused(sites: Sites, written: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sites.add("portal", name="门户", origins=["https://a.example.cn", written])
    assert "origins" in refused.value.fields
    assert sites.list() == ()


@pytest.mark.parametrize("key", ["", "a", "A-b", "-ab", "a_b", "门户", "a b", "a" * 65, "ab\n"])
def test_keys_fit_into_addresses_and_attributes(sites: Sites, key: str) -> None:
    if key.strip() != "ab":
        with pytest.raises(InvalidRequest) as refused:
            sites.add(key, name="门户", origins=["https://a.example.cn"])
        assert set(refused.value.fields) == {"key"}
    assert sites.find(key) is None


def test_every_problem_is_named(sites: Sites) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sites.add("?", name=" ", origins=[])
    assert set(refused.value.fields) == {"key", "name", "origins"}
    many = [f"https://a{number}.cn" for number in range(MAX_ORIGINS + 1)]
    with pytest.raises(InvalidRequest):
        sites.add("portal", name="门户", origins=many)
    with pytest.raises(NotFound):
        sites.add("portal", name="门户", origins=["https://a.cn"], region="鼓楼区")
    assert sites.list() == ()
