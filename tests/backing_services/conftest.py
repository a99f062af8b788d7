"""A process that remembers what is said to it."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from twelvefactor._core.appcode import AppCode
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor.factor import Evidence
from twelvefactor.testing.engines import free_port
from twelvefactor.testing.fixtures import session_engine
from twelvefactor.work import InFlight

collect_ignore = ["mail_server.py"]  # run by its fixture, not imported by tests


class RecordingProcess:
    """A `Process` without a service."""

    def __init__(self, root, declaration=None, deploy=None, environ=None):
        self.name = "demo"
        self.environ = environ or {}
        self.clock = SYSTEM_CLOCK
        self.evidence = Evidence()
        self.findings = self.evidence.findings
        self.app_code = AppCode(root)
        self.in_flight = InFlight()
        self.process_type = "web"
        self.declaration = declaration or {}
        self.manifest = {}
        self.deploy = deploy
        self.config = None
        self.events = []
        self.faults = []

    def event(self, level, event, **fields):
        self.events.append((event.removeprefix("twelvefactor.resource."), fields))

    def fault(self, where, error):
        self.faults.append((where, error))

    def said(self, event):
        return [fields for name, fields in self.events if name == event]


@pytest.fixture
def process(request):
    made = RecordingProcess(request.path.parent)
    yield made
    assert made.faults == []


@pytest.fixture
def new_process(request):
    return lambda **kwargs: RecordingProcess(request.path.parent, **kwargs)


@pytest.fixture
def resources(process):
    from twelvefactor.backing_services.resources import Resources

    made = Resources(process, timeout=1, every=0.2)
    yield made
    made.close()


@pytest.fixture(scope="session")
def own_postgres(request):
    """One for all files of this folder, whichever worker runs them."""
    with session_engine(request, "postgresql") as url:
        yield url


@pytest.fixture(scope="session")
def own_redis(request):
    with session_engine(request, "redis") as url:
        yield url


@pytest.fixture(scope="module")
def mail():
    """A mail server that wants a login: its process, which prints what it got, and its port."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("mail_server.py"), str(port)], stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout.readline() == "ready\n"
        server.port = port
        yield server
        server.terminate()


@pytest.fixture(scope="session")
def certify():
    return write_certificates


def write_certificates(folder):
    """Write ca.pem, cert.pem and key.pem for localhost into *folder*."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, subject = _name("test authority"), _name("localhost")
    ca = _certificate(
        issuer, issuer, authority.public_key(), x509.BasicConstraints(ca=True, path_length=None), authority, authority
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    cert = _certificate(subject, issuer, server.public_key(), names, authority, authority)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "cert.pem").write_bytes(cert.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(server.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _certificate(subject, issuer, key, extension, authority, signer):
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )
    if isinstance(extension, x509.BasicConstraints):  # Python 3.13 wants an authority to say what its key is for
        builder = builder.add_extension(_SIGNS, critical=True)
    return builder.sign(signer, hashes.SHA256())
