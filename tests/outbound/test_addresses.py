"""The service sends nothing to an address that tenants must not reach, however it is written and whatever it resolves to."""

from ipaddress import ip_address, ip_network

import pytest

from metering.outbound.addresses import AddressError, AddressGuard, is_public

REFUSED = [
    "",
    "example.com/hooks",
    "//example.com",
    "https:///hooks",
    "ftp://example.com/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "unix:///var/run/docker.sock",
    "http://example.com/",  # http requires a setting for the host
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "https://169.254.169.254/",
    "https://[::1]/",
    "https://[::]/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",  # carrier-grade NAT
    "https://127.0.0.1:5432/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://2130706433/",  # 127.0.0.1, decimal
    "https://0x7f000001/",  # hexadecimal
    "https://017700000001/",  # octal
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://0/",
    "https://\uff11\uff12\uff17.0.0.1/",  # full-width digits
    "https://127\u30020\u30020\u30021/",  # ideographic full stops
    "https://[::ffff:127.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",  # NAT64
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",  # 6to4
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com/#fragment",
    "https://example.com/#",
    "https://exa mple.com/",
    "https://example.com\r\nhost: other/",
    "https://example.com:99999/",
    "https://[::1/",
    "https://example.com/" + "x" * 2_000,
]


@pytest.mark.parametrize("address", REFUSED, ids=lambda address: ascii(address)[:50])
def test_a_forbidden_url_is_refused_before_its_host_is_resolved(address):
    with pytest.raises(AddressError) as refused:
        AddressGuard(resolve=lambda host, port: pytest.fail("must not resolve")).read(address)
    assert refused.value.code == "forbidden_address"
    assert "password" not in str(refused.value).replace("user or password", "")


@pytest.mark.parametrize(
    "address",
    ["https://example.com/hooks?a=b", "https://EXAMPLE.com:8443/", "https://1.1.1.1/", "https://[2606:4700::1111]/",
     "https://m\u00fcnchen.example/", "https://1e100.net/", "https://dead.beef/"],
)  # fmt: skip
def test_a_url_on_the_public_internet_is_allowed(address):
    assert AddressGuard().read(address).scheme == "https"


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["169.254.169.254"], ["93.184.215.14", "10.0.0.1"], ["::ffff:10.0.0.1"], ["64:ff9b::a00:1"],
     ["fe80::1%eth0"]],
    ids=str,
)  # fmt: skip
def test_a_host_is_refused_if_any_of_its_addresses_is_not_public(addresses):
    guard = AddressGuard(resolve=lambda host, port: addresses)
    with pytest.raises(AddressError, match="not on the public internet") as refused:
        guard.reachable(guard.read("https://example.com/"))
    assert not any(each in str(refused.value) for each in addresses)  # the tenant learns no internal address


def test_a_host_resolves_to_each_of_its_public_addresses_once():
    guard = AddressGuard(resolve=lambda host, port: ["93.184.215.14", "93.184.215.14", "2606:4700::1111"])
    assert guard.reachable(guard.read("https://example.com/")) == ["93.184.215.14", "2606:4700::1111"]


def test_a_host_is_resolved_in_its_ascii_form_with_its_port():
    resolved = []

    def resolve(host, port):
        resolved.append((host, port))
        return ["93.184.215.14"]

    guard = AddressGuard(resolve=resolve)
    guard.reachable(guard.read("https://m\u00fcnchen.example:8443/"))
    guard.reachable(guard.read("https://example.com/"))
    assert resolved == [("xn--mnchen-3ya.example", 8443), ("example.com", 443)]


def test_only_the_allowed_host_may_be_private():
    guard = AddressGuard(private_hosts=frozenset({"hooks.internal"}), resolve=lambda host, port: ["10.0.0.1"])
    assert guard.reachable(guard.read("https://hooks.internal/")) == ["10.0.0.1"]
    with pytest.raises(AddressError):
        guard.reachable(guard.read("https://other.internal/"))
    with pytest.raises(AddressError):
        guard.read("http://hooks.internal/")  # a private host still needs https


def test_an_allowed_network_is_reachable_by_address_and_by_name():
    guard = AddressGuard(
        private_networks=(ip_network("10.1.0.0/16"), ip_network("fd00::/8")), resolve=lambda host, port: ["10.1.2.3", "fd00::1"]
    )
    assert guard.reachable(guard.read("https://10.1.2.3/")) == ["10.1.2.3"]
    assert guard.reachable(guard.read("https://hooks.internal/")) == ["10.1.2.3", "fd00::1"]
    with pytest.raises(AddressError):
        guard.read("https://10.2.0.1/")


@pytest.mark.parametrize(
    ("address", "public"),
    [("8.8.8.8", True), ("64:ff9b::808:808", True), ("2002:808:808::", True), ("::ffff:8.8.8.8", True), ("2001:db8::1", False),
     ("192.0.2.1", False), ("198.18.0.1", False), ("240.0.0.1", False), ("2001::1", False)],
)  # fmt: skip
def test_an_address_that_translates_to_ipv4_is_as_public_as_that_one(address, public):
    assert is_public(ip_address(address)) is public
