"""Settings: three sources, one precedence, readable errors."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from roskva.cli.settings import SETTINGS, Loaded, load, nearest
from roskva.config import Config
from roskva.errors import ConfigError


def load_toml(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None, **flags: object) -> Loaded:
    """Load with a TOML file of that text."""
    path = tmp_path / "roskva.toml"
    path.write_text(text)
    return load({"config": str(path), **flags}, environ or {})


def problems_of(flags: Mapping[str, object], environ: Mapping[str, str]) -> list[str]:
    """Load what can't be, and return the lines of the error."""
    with pytest.raises(ConfigError) as caught:
        load(flags, environ)
    return str(caught.value).splitlines()


def test_defaults() -> None:
    """Without any source the configuration is the default."""
    loaded = load({}, {"PATH": "/bin"})
    assert loaded == Loaded(Config(), {})


def test_precedence(tmp_path: Path) -> None:
    """A flag counts before the environment, that before TOML, that before the default."""
    toml = "port = 1\nadmin_port = 1\nhellos_per_second = 1"
    environ = {"ROSKVA_PORT": "2", "ROSKVA_ADMIN_PORT": "2"}
    loaded = load_toml(tmp_path, toml, environ, port="3")
    assert (loaded.config.port, loaded.config.admin_port, loaded.config.hellos_per_second) == (3, 2, 1)
    assert loaded.config.puts_per_ip == Config().puts_per_ip
    assert loaded.sources == {
        "port": "--port",
        "admin_port": "ROSKVA_ADMIN_PORT",
        "hellos_per_second": f"{tmp_path}/roskva.toml: hellos_per_second",
    }


def test_file_from_environment(tmp_path: Path) -> None:
    """ROSKVA_CONFIG names the TOML file unless a flag does."""
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text("port = 1")
    two.write_text("port = 2")
    environ = {"ROSKVA_CONFIG": str(one)}
    assert load({}, environ).config.port == 1
    assert load({"config": str(two)}, environ).config.port == 2


def test_variables_of_a_command_are_no_settings() -> None:
    """What ``listen --exec`` tells its command is passed over, and nothing like it is."""
    environ = {"ROSKVA_CHANNEL": "news", "ROSKVA_VERSION": "7", "ROSKVA_PORT": "2"}
    assert load({}, environ).config == Config(port=2)
    for variable in ("ROSKVA_CHANNELS", "ROSKVA_VERSION_", "ROSKVA_ENDPOINT"):
        assert problems_of({}, {variable: "x"})[0].startswith(f"{variable}: unknown variable")


TEXTS: list[tuple[str, str, object]] = [
    ("host", "::1", "::1"),
    ("public_url", "", ""),
    ("port", "0", 0),
    ("max_connections", "-5", -5),
    ("hello_timeout", "2", 2.0),
    ("hello_timeout", "2.5e1", 25.0),
    ("tls_cert", "a b", Path("a b")),
    ("tls_cert", "", None),
    ("data_dir", "/var/lib", Path("/var/lib")),
    ("cors_origins", "a, b,,", ("a", "b")),
    ("cors_origins", "", ()),
    *[("large_versions", text, True) for text in ("true", "TRUE", "1", "yes")],
    *[("adopt_unknown_uaids", text, False) for text in ("false", "0", "No")],
]


@pytest.mark.parametrize(("name", "text", "value"), TEXTS)
def test_text(name: str, text: str, value: object) -> None:
    """The environment and the flags spell every type as text."""
    for loaded in (load({name: text}, {}), load({}, {SETTINGS[name].variable: text})):
        found = getattr(loaded.config, name)
        assert found == value
        assert type(found) is type(value)


def test_flag_types() -> None:
    """A switch comes as a bool, a repeated flag as a list; None is not given."""
    loaded = load(
        {"large_versions": True, "adopt_unknown_uaids": False, "cors_origins": ["a", "b,c"], "port": None}, {}
    )
    assert loaded.config == Config(large_versions=True, adopt_unknown_uaids=False, cors_origins=("a", "b", "c"))
    assert loaded.sources["adopt_unknown_uaids"] == "--no-adopt-unknown-uaids"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("port = 9", Config(port=9)),
        ("hello_timeout = 9", Config(hello_timeout=9.0)),
        ("hello_timeout = 9.5", Config(hello_timeout=9.5)),
        ("large_versions = true", Config(large_versions=True)),
        ('data_dir = "x"', Config(data_dir=Path("x"))),
        ('tls_key = "x"', Config(tls_key=Path("x"))),
        ('tls_key = ""', Config(tls_key=None)),
        ('cors_origins = ["a,b", "c"]', Config(cors_origins=("a,b", "c"))),
    ],
)
def test_toml(tmp_path: Path, text: str, expected: Config) -> None:
    """TOML spells every type as its own."""
    assert load_toml(tmp_path, text).config == expected


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("port", "abc", "'abc' is not an integer"),
        ("port", "", "'' is not an integer"),
        ("port", "1_000", "'1_000' is not an integer"),
        ("port", "٥", "'٥' is not an integer"),
        ("port", "9" * 5000, f"'{'9' * 58}… is not an integer"),
        ("hello_timeout", "soon", "'soon' is not a number"),
        ("hello_timeout", "nan", "'nan' is not a number"),
        ("hello_timeout", "1e999", "'1e999' is not a number"),
        ("large_versions", "maybe", "'maybe' is not true or false"),
        ("data_dir", "", "'' is not a path"),
        ("host", "a\nb", "'a\\nb' has unprintable characters"),
        ("host", "a\udcff", "'a\\udcff' has unprintable characters"),
    ],
)
def test_bad_text(name: str, text: str, problem: str) -> None:
    """An error is one line that names the source, the key and the value, cut to length."""
    assert problems_of({}, {SETTINGS[name].variable: text}) == [f"{SETTINGS[name].variable}: {problem}"]
    assert problems_of({name: text}, {}) == [f"{SETTINGS[name].flag}: {problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('port = "80"', "port: '80' is not an integer"),
        ("port = true", "port: True is not an integer"),
        ("port = 1.0", "port: 1.0 is not an integer"),
        ("hello_timeout = inf", "hello_timeout: inf is not a number"),
        ("hello_timeout = true", "hello_timeout: True is not a number"),
        ("large_versions = 1", "large_versions: 1 is not true or false"),
        ("host = 1", "host: 1 is not a string"),
        ("data_dir = 1", "data_dir: 1 is not a path"),
        ("tls_key = []", "tls_key: [] is not a path"),
        ('cors_origins = "a"', "cors_origins: 'a' is not a list of strings"),
        ("cors_origins = [1]", "cors_origins: [1] is not a list of strings"),
        ('cors_origins = ["\\n"]', "cors_origins: ['\\n'] is not a list of strings"),
        ("admin-port = 1", "unknown key 'admin-port' (did you mean admin_port?)"),
        ("[server]\nport = 1", "unknown key 'server'"),
    ],
)
def test_bad_toml(tmp_path: Path, text: str, problem: str) -> None:
    """A wrong type or an unknown key in TOML is named with its file."""
    with pytest.raises(ConfigError) as caught:
        load_toml(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/roskva.toml: {problem}")
    assert len(str(caught.value).splitlines()) == 1


def test_bad_file(tmp_path: Path) -> None:
    """A file that is missing, not UTF-8 or not TOML is one line."""
    path = tmp_path / "x.toml"
    assert problems_of({"config": str(path)}, {}) == [f"{path}: can't be read: No such file or directory"]
    path.write_bytes(b"\xff")
    assert len(problems_of({"config": str(path)}, {})) == 1
    path.write_text("port =")
    [problem] = problems_of({"config": str(path)}, {})
    assert problem.startswith(f"{path}: is not TOML: Invalid value (at ")


def test_unknown_variables() -> None:
    """An unknown variable of ours is an error with the nearest known one; others' are none of our business."""
    environ = {"ROSKVA_PROT": "1", "ROSKVA_ZZZ": "", "ROSKVA_CONFIGG": "", "ROSKVAX": "1", "PORT": "x"}
    assert problems_of({}, environ) == [
        "ROSKVA_PROT: unknown variable (did you mean ROSKVA_PORT?)",
        "ROSKVA_ZZZ: unknown variable",
        "ROSKVA_CONFIGG: unknown variable (did you mean ROSKVA_CONFIG?)",
    ]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ROSKVA_PORT", "tcp://10.0.0.1:8080"),
        ("ROSKVA_SERVICE_HOST", "10.0.0.1"),
        ("ROSKVA_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_kubernetes(variable: str, text: str) -> None:
    """Variables that Kubernetes sets for a service named roskva are called what they are."""
    [problem] = problems_of({}, {variable: text})
    assert problem == f"{variable}: set by Kubernetes for a service of this name (enableServiceLinks: false)"


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Problems of all sources are told together."""
    path = tmp_path / "x.toml"
    path.write_text("a = 1\nport = false")
    problems = problems_of({"config": str(path), "admin_port": "x"}, {"ROSKVA_HELLO_TIMEOUT": "y", "ROSKVA_B": "z"})
    assert len(problems) == 5


def test_nearest() -> None:
    """Only something near is suggested."""
    assert nearest("prot", ["host", "port"]) == " (did you mean port?)"
    assert nearest("zzz", ["host", "port"]) == ""


def test_every_field_is_a_setting() -> None:
    """Every field of Config has its three spellings and its documentation."""
    assert list(SETTINGS) == [field.name for field in dataclasses.fields(Config)]
    for setting in SETTINGS.values():
        assert len(setting.doc) > 10
        assert (setting.flag, setting.variable) == (
            "--" + setting.name.replace("_", "-"),
            "ROSKVA_" + setting.name.upper(),
        )
