# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the application's driver takes in a connection string connects here, too."""

from __future__ import annotations

from pathlib import Path

import pymongo
import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import address, client
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.connection_options import translate_options

# Every option that a release of the Node driver from 4 to 7 knows, with a value that means something where that matters.
NODE = """
 ALPNProtocols SNICallback __skipPingOnConnect allowPartialTrustChain appName auth authMechanism=DEFAULT
 authMechanismProperties=SERVICE_NAME:mongodb,CANONICALIZE_HOST_NAME:true authSource=admin autoEncryption
 autoSelectFamily=true autoSelectFamilyAttemptTimeout=250 bsonRegExp checkKeys checkServerIdentity compressors=none
 connectTimeoutMS=0 connectionType dbName=shop directConnection=false driverInfo enableOverloadRetargeting enableTrace
 enableUtf8Validation=false family=4 fieldsAsRaw forceServerObjectId fsync=true heartbeatFrequencyMS=100 hints
 ignoreUndefined index j=true journal=true keepAlive keepAliveInitialDelay loadBalanced=false localAddress localPort
 localThresholdMS logger loggerLevel lookup maxAdaptiveRetries maxConnecting maxIdleTimeMS=0 maxPoolSize=0
 maxStalenessSeconds=90 minDHSize minHeartbeatFrequencyMS minInternalBufferSize minPoolSize=50 mongodbLogComponentSeverities
 mongodbLogMaxDocumentLength mongodbLogPath monitorCommands name noDelay pkFactory promiseLibrary promoteBuffers
 promoteLongs promoteValues pskCallback raw readConcern readConcernLevel=linearizable readPreference=secondaryPreferred
 readPreferenceTags=dc:a rejectUnauthorized=false replicaSet=rs0 requestCert requestOCSP retryReads=1 retryWrites=no
 runtimeAdapters secureContext serializeFunctions serverApi serverMonitoringMode=poll serverSelectionTimeoutMS=0
 servername=db.example.com session socketTimeoutMS=1000 srvAllowedHostsSuffix srvHostValidator srvPoller ssl=true
 sslPass=x sslValidate=true timeoutMS=100 tls=true tlsAllowInvalidCertificates=true tlsAllowInvalidHostnames=true
 tlsCertificateKeyFilePassword=x tlsInsecure=true useBigInt64 useNewUrlParser=true useUnifiedTopology=true w=majority
 waitQueueTimeoutMS=0 writeConcern wtimeout=5000 wtimeoutMS=0 zlibCompressionLevel=9
""".split()
FILES = ("tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile", "sslCA", "sslCRL")
REFUSED = """
 ca cert ciphers crl ecdhCurve key passphrase pfx proxyHost proxyPassword proxyPort proxyUsername secureProtocol sslCert
 sslKey tlsCertificateFile
""".split()
SRV_ONLY = ("srvMaxHosts=1", "srvServiceName=mongodb")


def option(text: str) -> str:
    return text if "=" in text else text + "=1"


def opened(uri: str, **params: str) -> None:
    """What the driver itself says to it, together with all that we add; nothing is connected to."""
    found = address.resolve({"uri": uri, **params})
    options = client.client_options(found, 5.0)
    with pymongo.MongoClient(found.uri, **options, connect=False):
        pass
    with pymongo.MongoClient(found.anonymous_uri, **options, connect=False):
        pass


@pytest.mark.parametrize("text", [*NODE, *(text for text in SRV_ONLY)])
@pytest.mark.parametrize("replaced", [False, True])
def test_every_option_of_the_applications_driver(text: str, replaced: bool) -> None:
    if text in SRV_ONLY and not replaced:
        assert translate_options(text, "here", srv=True).values[0] == tuple(text.split("=", 1))
        return
    opened("mongodb://u:p@h/?" + option(text), **({"address": "127.0.0.1:1"} if replaced else {}))


def test_those_that_the_application_may_give_together() -> None:
    """Everything but what excludes another one even there."""
    left = [
        text for text in NODE if not text.startswith(("tlsInsecure", "sslPass", "tlsCertificate", "loadBal", "direct"))
    ]
    opened("mongodb://u:p@h/shop?" + "&".join(option(text) for text in left if not text.startswith("dbName")))
    with_tags = "readPreference=secondaryPreferred&readPreferenceTags=dc:a&readPreferenceTags=&maxStalenessSeconds=120"
    opened("mongodb://u:p@h,i/shop?replicaSet=rs0&" + with_tags)


def test_translations() -> None:
    def values(query: str) -> dict[str, str]:
        return dict(translate_options(query, "here").values)

    assert values("j=true&wtimeout=5&w=majority") == {"journal": "true", "wTimeoutMS": "5", "w": "majority"}
    assert values("ssl=true&sslValidate=false") == {"tls": "true", "tlsAllowInvalidCertificates": "true"}
    assert values("TLS=True&rejectUnauthorized=true") == {"tls": "true", "tlsAllowInvalidCertificates": "false"}
    assert values("retryWrites=0") == {"retryWrites": "false"}
    assert values("w=0&j=true") == {"journal": "true"}, "a write that nobody confirms is none of ours"
    assert values("tlsInsecure=true&tlsCAFile=/x") == {}, "without tls=true the Node driver speaks no TLS"
    assert values("tls=false&tlsInsecure=true") == {"tls": "false"}
    assert dict(translate_options("authSource=admin", "here", srv=True).values)["tls"] == "true"
    assert translate_options("dbName=shop&servername=db", "here").database == "shop"
    assert values("authSource=%24external") == {"authSource": "$external"}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_honoured_is_named(name: str) -> None:
    with pytest.raises(MaintenanceError, match=name) as caught:
        translate_options(f"{name}=cAnary", "here")
    assert "cAnary" not in str(caught.value) and caught.value.next_step
    if name.startswith("proxy"):
        assert translate_options(f"{name}=x", "here", replaced=True).values == ()


@pytest.mark.parametrize(
    ("query", "name", "meant"),
    [
        ("readPreferance=secondary", "readPreferance", "readpreference"),
        ("retryWrite=true", "retryWrite", "retryWrites"),
        ("tsl=true", "tsl", "tls"),
        ("authsorce=admin", "authsorce", "authSource"),
        ("foo=bar", "foo", ""),
    ],
)
def test_a_misspelt_option_is_refused_by_its_name(query: str, name: str, meant: str) -> None:
    with pytest.raises(MaintenanceError, match=f"unknown option {name}") as caught:
        address.resolve({"uri": f"mongodb://u:cAnary@h/shop?authSource=admin&{query}"})
    assert "cAnary" not in str(caught.value) and meant in caught.value.next_step


@pytest.mark.parametrize("query", ["=x", "a b=x", "x@y=1", "<script>=1"])
def test_what_is_no_name_is_not_quoted(query: str) -> None:
    with pytest.raises(MaintenanceError, match="no name") as caught:
        translate_options(query, "here")
    assert query not in str(caught.value)


@pytest.mark.parametrize("query", ["tls=maybe", "tls", "tls=", "replicaSet="])
def test_wrong_and_missing_values(query: str) -> None:
    with pytest.raises(MaintenanceError, match=query.split("=")[0]):
        translate_options(query, "here")


def test_dbname_counts_where_the_path_names_none() -> None:
    assert address.resolve({"uri": "mongodb://h/?dbName=shop"}).database == "shop"
    assert address.resolve({"uri": "mongodb://h?dbName=shop"}).database == "shop"
    assert address.resolve({"uri": "mongodb://h/one?dbName=two"}).database == "one"
    with pytest.raises(MaintenanceError, match="database name"):
        address.resolve({"uri": "mongodb://h/?dbName=a%2Fb"})


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_container_is_found_by_the_option_or_named(tmp_path: Path, name: str) -> None:
    inside = "/run/secrets/" + name
    uri = f"mongodb://u:cAnary@h/shop?tls=true&{name}={inside}"
    with pytest.raises(MaintenanceError) as caught:
        address.resolve({"uri": uri})
    text = str(caught.value)
    assert inside in text and "tls_files" in text and "cAnary" not in text
    (tmp_path / "file").write_text("")
    given = {"tls_files": {inside: str(tmp_path / "file")}}
    assert (
        str(tmp_path / "file")
        in dict(address.own_files(translate_options(uri.partition("?")[2], ""), given, "")).values()
    )


@pytest.mark.parametrize(
    ("uri", "given", "name"),
    [
        ("mongodb://mongo/shop?tls=true", "127.0.0.1:5", "mongo"),
        ("mongodb://mongo:7/shop?tls=true", "mongo:5", ""),
        ("mongodb://mongo/shop", "127.0.0.1:5", ""),
        ("mongodb://mongo/shop?tls=false", "127.0.0.1:5", ""),
        ("mongodb://a:1,b:5,c:3/shop?ssl=true", "127.0.0.1:5", "b"),
        ("mongodb://a:1,b:2/shop?ssl=true", "127.0.0.1:5", "a"),
        ("mongodb://a:1,b:2/shop?ssl=true", "b:5", ""),
        ("mongodb+srv://shop.example.com/shop", "127.0.0.1:5", "shop.example.com"),
        ("mongodb://mongo/shop?tls=true&servername=db.example.com", "127.0.0.1:5", "db.example.com"),
        ("mongodb://[::1]:3/shop?tls=true", "127.0.0.1:5", "::1"),
    ],
)
def test_the_name_that_the_certificate_must_bear(uri: str, given: str, name: str) -> None:
    found = address.resolve({"uri": uri, "address": given})
    assert (found.server_name, found.where) == (name, given)
    assert found.uri.startswith("mongodb://" + (f"[{name}]" if ":" in name else name or given.split(":")[0]) + ":5/")


def test_another_servername_without_an_address() -> None:
    found = address.resolve({"uri": "mongodb://10.0.0.1:7/shop?tls=true&servername=db"})
    assert (found.server_name, found.where, found.direct) == ("db", "10.0.0.1:7", True)
