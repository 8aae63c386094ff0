"""The command: its help, its exit codes, and each subcommand that needs no network."""

import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import roskva.server
from roskva import __version__
from roskva.cli import flags, main, print_config
from roskva.cli.settings import SETTINGS, Loaded, load
from roskva.config import Config
from roskva.errors import ConfigError, RoskvaError, StoreError
from roskva.protocol.endpoint import parse_keys
from roskva.server import log
from tests.kit.valkey import ValkeyProcess


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in its own folder, with no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("ROSKVA_")]:
        monkeypatch.delenv(variable)


def exit_of(*argv: str) -> object:
    """Run the command up to argparse's own exit, and return the code."""
    with pytest.raises(SystemExit) as caught:
        main.main(argv)
    return caught.value.code


def run_python(*argv: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m roskva`` as a process."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", "roskva", *argv],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def serve_with(monkeypatch: pytest.MonkeyPatch, outcome: int | BaseException) -> list[Config]:
    """Put a node in place that ends like this, and return the list of what it is given."""
    given: list[Config] = []

    def run(config: Config) -> int:
        given.append(config)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    node = ModuleType("roskva.server.node")
    vars(node)["run"] = run
    monkeypatch.setitem(sys.modules, "roskva.server.node", node)
    monkeypatch.setattr(roskva.server, "node", node, raising=False)
    # It would take pytest's own handlers away.
    monkeypatch.setattr(log, "setup", lambda *_: None)
    return given


@pytest.mark.parametrize("command", main.COMMANDS)
def test_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Each subcommand has help, and stands in the command's own."""
    assert exit_of(command, "--help") == 0
    assert f"roskva {command}" in capsys.readouterr().out
    assert exit_of("--help") == 0
    assert re.search(rf"^    {command} +\S", capsys.readouterr().out, re.MULTILINE)


def test_help_tells_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit codes are in the help."""
    exit_of("--help")
    out = capsys.readouterr().out
    for code in (0, main.FAILED, main.UNUSABLE, main.INTERRUPTED):
        assert re.search(rf"^  {code} +\w", out, re.MULTILINE)


@pytest.mark.parametrize("command", ["serve", "check-config", "print-config"])
def test_every_flag_is_documented(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Every setting is in the help with its documentation, default and variable, and no line is too wide."""
    monkeypatch.setenv("COLUMNS", "80")
    exit_of(command, "--help")
    out = capsys.readouterr().out
    flat = " ".join(out.split())
    for setting in SETTINGS.values():
        assert " ".join(setting.doc.split()) in flat.replace("- ", "-") or setting.doc in flat
        assert f"[default: {flags.spell_default(setting)}] [env: {setting.variable}]" in flat
    assert max(map(len, out.splitlines())) <= 80


def test_groups_are_those_of_config() -> None:
    """The groups in the help begin where the comments in Config do."""
    source = Path(sys.modules[Config.__module__].__file__ or "").read_text(encoding="utf-8")
    found = re.findall(r"\n    # (\S+)[^\n]*\n    (\w+):", source)
    assert [name for _, name in found] == list(flags.GROUPS)
    for word, name in found:
        assert flags.GROUPS[name].startswith(word)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is the package's."""
    assert exit_of("--version") == 0
    assert capsys.readouterr().out == f"roskva {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        ((), "roskva: the following arguments are required: COMMAND; see roskva --help\n"),
        (("srve",), "roskva: argument COMMAND: invalid choice: 'srve'"),
        (("serve", "--prot", "1"), "roskva: unknown argument --prot (did you mean --port?); see roskva serve --help\n"),
        (("serve", "--prot=1"), "roskva: unknown argument --prot (did you mean --port?); see roskva serve --help\n"),
        (("serve", "--por", "1"), "roskva: unknown argument --por (did you mean --port?); see roskva serve --help\n"),
        (("serve", "8080"), "roskva: unknown argument 8080; see roskva serve --help\n"),
        (("serve", "--port"), "roskva: argument --port: expected one argument; see roskva serve --help\n"),
    ],
)
def test_usage_errors(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], problem: str) -> None:
    """Wrong usage is one line and exit code 2."""
    assert exit_of(*argv) == main.UNUSABLE
    err = capsys.readouterr().err
    assert err.startswith(problem)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", ["serve", "check-config", "print-config"])
def test_config_errors(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Settings that can't be read are a line each and exit code 2."""
    assert main.main([command, "--port", "abc", "--hello-timeout", "x"]) == main.UNUSABLE
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "roskva: --port: 'abc' is not an integer\nroskva: --hello-timeout: 'x' is not a number\n"


def test_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node gets what the flags, the environment and the file say, and its code is the command's."""
    given = serve_with(monkeypatch, 7)
    Path("x.toml").write_text("ping_interval = 9")
    monkeypatch.setenv("ROSKVA_STORE", "memory:")
    argv = [
        "serve",
        "--config",
        "x.toml",
        "--port=1",
        "--no-adopt-unknown-uaids",
        "--cors-origins=*",
        "--cors-origins=a://b",
    ]
    assert main.main(argv) == 7
    assert given == [
        Config(port=1, store="memory:", ping_interval=9.0, adopt_unknown_uaids=False, cors_origins=("*", "a://b"))
    ]


def test_serve_validates(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No node is started with settings that break a rule."""
    given = serve_with(monkeypatch, 0)
    assert main.main(["serve", "--port", "-1"]) == main.UNUSABLE
    assert given == []
    assert capsys.readouterr().err == "roskva: --port: -1 is not a port (0 to 65535)\n"


@pytest.mark.parametrize(
    ("outcome", "code", "message"),
    [
        (ConfigError("key file x: damaged"), main.UNUSABLE, "roskva: key file x: damaged\n"),
        (StoreError("no space"), main.FAILED, "roskva: no space\n"),
        (RoskvaError(), main.FAILED, "roskva: RoskvaError\n"),
        (OSError(98, "address in use"), main.FAILED, "roskva: [Errno 98] address in use\n"),
        (KeyboardInterrupt(), main.INTERRUPTED, ""),
    ],
)
def test_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: BaseException,
    code: int,
    message: str,
) -> None:
    """Each kind of failure has its exit code, and one line unless it was asked for."""
    serve_with(monkeypatch, outcome)
    assert main.main(["serve"]) == code
    assert capsys.readouterr().err == message


def test_check_config(capsys: pytest.CaptureFixture[str]) -> None:
    """Usable settings are ok; a broken rule is exit code 2."""
    assert main.main(["check-config"]) == 0
    assert capsys.readouterr().out == "ok\n"
    assert main.main(["check-config", "--proxy-protocol"]) == main.UNUSABLE
    assert "--proxy-protocol: needs --trusted-proxies" in capsys.readouterr().err


def print_and_load(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, Config]:
    """Print settings, load what was printed, and return both."""
    assert main.main(["print-config", *argv]) == 0
    text = capsys.readouterr().out
    Path("printed.toml").write_text(text, encoding="utf-8")
    return text, load({"config": "printed.toml"}, {}).config


def test_print_config(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed names each source and loads as the same configuration."""
    assert print_and_load([], capsys)[1] == Config()
    monkeypatch.setenv("ROSKVA_HELLO_TIMEOUT", "2.5")
    text, config = print_and_load(["--port", "1", "--tls-cert", "ä b", "--large-versions"], capsys)
    assert config == Config(port=1, hello_timeout=2.5, tls_cert=Path("ä b"), large_versions=True)
    assert "# From --port.\nport = 1\n" in text
    assert "# From ROSKVA_HELLO_TIMEOUT.\nhello_timeout = 2.5\n" in text
    assert "# The default.\nadmin_port = 8081\n" in text
    for setting in SETTINGS.values():
        assert setting.doc in text.replace("\n# ", " ")


printable = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "))


@given(
    st.builds(
        Config,
        host=printable,
        port=st.integers(0, 10**18),
        hello_timeout=st.floats(-1e30, 1e30).filter(lambda number: "e-" not in repr(number)),
        tls_cert=st.none() | printable.filter(bool).map(Path),
        data_dir=printable.filter(bool).map(Path),
        large_versions=st.booleans(),
        cors_origins=st.lists(printable).map(tuple),
    )
)
def test_spell_round_trip(config: Config) -> None:
    """Every configuration survives being spelled and read."""
    text = "\n".join(print_config.spell(Loaded(config, {})))
    assert set(tomllib.loads(text)) == set(SETTINGS)
    Path("spelled.toml").write_text(text, encoding="utf-8")
    assert load({"config": "spelled.toml"}, {}).config == config


def test_keygen(capsys: pytest.CaptureFixture[str]) -> None:
    """A key is printed, another one each time."""
    assert main.main(["keygen"]) == main.main(["keygen"]) == 0
    keys = parse_keys(capsys.readouterr().out)
    assert len(set(keys)) == 2


def test_keygen_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A key file is made, and then rotated; no key is printed."""
    path = Path("roskva.keys")
    assert main.main(["keygen", "--file", str(path)]) == 0
    [old] = parse_keys(path.read_text())
    assert main.main(["keygen", "--file", str(path)]) == 0
    new, also_old = parse_keys(path.read_text())
    assert also_old == old != new
    assert max(map(len, capsys.readouterr().out.split())) < 40
    path.write_text("damaged")
    assert main.main(["keygen", "--file", str(path)]) == main.UNUSABLE


def test_new_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    """The store's epoch is bumped, but only with --yes."""
    from roskva.store.sqlite_file import Synchronous, open_file

    Path("data").mkdir()
    open_file(Path("data/roskva.db"), synchronous=Synchronous.NORMAL, timeout=5.0).close()
    assert main.main(["new-epoch", "--data-dir", "data"]) == main.UNUSABLE
    assert "data/roskva.db would start anew; say --yes" in capsys.readouterr().err
    assert main.main(["new-epoch", "--data-dir", "data", "--yes"]) == 0
    connection = sqlite3.connect("data/roskva.db")
    [epoch] = connection.execute("SELECT epoch FROM meta").fetchone()
    connection.close()
    assert f"data/roskva.db is at epoch {epoch};" in capsys.readouterr().out


def test_new_epoch_of_a_valkey(valkey: ValkeyProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """The epoch of a Valkey is bumped, but only with --yes, and its password isn't printed."""
    valkey.clear()
    url = f"valkey://{valkey.address}"
    assert main.main(["new-epoch", "--store", url]) == main.UNUSABLE
    assert f"{valkey.address} would start anew; say --yes" in capsys.readouterr().err
    assert main.main(["new-epoch", "--store", url, "--yes"]) == 0
    assert f"{valkey.address} is at epoch 2;" in capsys.readouterr().out
    assert main.main(["new-epoch", "--store", "valkey://:s3cret@127.0.0.1:1", "--yes"]) not in (0, main.UNUSABLE)
    assert "s3cret" not in capsys.readouterr().err


@pytest.mark.parametrize("store", ["sqlite:///missing.db", "memory:", "sqlite:"])
def test_new_epoch_without_a_store(capsys: pytest.CaptureFixture[str], store: str) -> None:
    """A store that isn't there, or isn't a file, is exit code 2, and nothing is made."""
    assert main.main(["new-epoch", "--store", store, "--yes"]) == main.UNUSABLE
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(Path().iterdir()) == []


def test_module(tmp_path: Path) -> None:
    """``python -m roskva`` is the command."""
    done = run_python("check-config", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_reader_gone(tmp_path: Path) -> None:
    """A reader that goes away early ends the command without a traceback."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "roskva", "print-config"],
        cwd=tmp_path,
        env=environ,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (main.FAILED, "")


def test_light_start(tmp_path: Path) -> None:
    """Printing settings loads neither the event loop, nor the cipher, nor a store."""
    script = (
        "import sys; from roskva.cli.main import main; main(['print-config'])\n"
        "print([name for name in ('asyncio', 'uvloop', 'cryptography', 'sqlite3', 'msgspec') if name in sys.modules])"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.endswith("\n[]\n")
