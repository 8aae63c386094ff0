"""The files of ``deploy/`` as tests need them: read, or rendered with a test's own addresses."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.kit.certificate import Certificate

DEPLOY = Path("deploy")
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml")

PUBLIC, PRIVATE = 8080, 8081
"""The ports in all samples."""

NODES = ("10.77.0.21", "10.77.0.22", "10.77.0.23")
"""The nodes' addresses in all samples."""


class Places(NamedTuple):
    """Where a rendered balancer and the nodes behind it are; ``network`` stands for the samples' ``10.77.0.``."""

    port: int = 8443
    network: str = "10.77.0."
    public: int = PUBLIC
    private: int = PRIVATE


def find(program: str, package: str) -> str:
    """Return the path of an installed program."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, f"{program} is missing: apt-get install {package}"
    return found


def load(path: Path) -> dict[str, Any]:
    """Read a file of one YAML document."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def manifest(name: str) -> dict[str, Any]:
    """Read one of the Kubernetes manifests."""
    return load(DEPLOY / "kubernetes" / f"{name}.yaml")


def container() -> dict[str, Any]:
    """Return the only container of the deployment."""
    (only,) = manifest("deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def render(text: str, replacements: Mapping[str, str]) -> str:
    """Replace what must be there."""
    for old, new in replacements.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def render_haproxy(folder: Path, certificate: Certificate, places: Places) -> Path:
    """Write the sample with these addresses, and nothing else changed; who isn't root can't become another user."""
    certs = folder / "certs"
    certs.mkdir(exist_ok=True)
    (certs / "push.pem").write_bytes(certificate.cert.read_bytes() + certificate.key.read_bytes())
    text = render(
        (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8"),
        {
            "bind :443": f"bind 127.0.0.1:{places.port}",
            "/etc/haproxy/certs/": f"{certs}/",
            f":{PUBLIC}\n": f":{places.public}\n",
            f"check port {PRIVATE}": f"check port {places.private}",
            "10.77.0.2": f"{places.network}2",
        },
    )
    if os.geteuid() != 0:
        text = render(
            text, dict.fromkeys(("    user haproxy\n", "    group haproxy\n", "    chroot /var/lib/haproxy\n"), "")
        )
    return _write(folder / "haproxy.cfg", text)


def render_nginx(folder: Path, certificate: Certificate, places: Places) -> Path:
    """Write the sample with these addresses, and nothing else changed."""
    text = render(
        (DEPLOY / "nginx.conf").read_text(encoding="utf-8"),
        {
            "listen 443 ssl": f"listen 127.0.0.1:{places.port} ssl",
            "/etc/nginx/certs/chain.pem": str(certificate.cert),
            "/etc/nginx/certs/key.pem": str(certificate.key),
            "/var/log/nginx": str(folder),
            f":{PUBLIC} max_fails": f":{places.public} max_fails",
            "10.77.0.2": f"{places.network}2",
        },
    )
    return _write(folder / "nginx.conf", text)


def haproxy_command(config: Path, *arguments: str) -> list[str]:
    """Spell the command that uses a configuration, in the foreground."""
    return [find("haproxy", "haproxy"), "-f", str(config), *arguments]


def nginx_command(config: Path, *arguments: str) -> list[str]:
    """Spell the command that uses a configuration, in the foreground and with nothing of the system's nginx."""
    own = f"daemon off; pid {config.parent}/nginx.pid;"
    return [find("nginx", "nginx"), "-c", str(config), "-e", f"{config.parent}/error.log", "-g", own, *arguments]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
