"""Own what a benchmark is told: one frozen value for all subcommands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a benchmark is told; each subcommand reads what concerns it."""

    url: str | None = None
    """The server's; None: one of our own is started, and ended."""
    pids: tuple[int, ...] = ()
    """The processes of a server given by URL."""
    server_arguments: str = ""
    """Further arguments of our own server, as a shell spells them."""
    pin: bool = False
    """Whether our own server has one core for itself, and the load the others."""
    workers: int = 0
    """Load processes; 0: one a core that the load has."""
    sources: int = 0
    """Local addresses to connect from (127.0.0.1, .2, …); 0: one for every 10,000 agents."""
    agents: int = 1000
    seconds: float = 10.0
    """How long is measured; of ``idle`` the quiet time, of ``signal`` each case."""
    connections: tuple[int, ...] = (16,)
    """Publishers, of ``signal`` one case each; of ``connect`` the agents under way at a time."""
    rates: tuple[float, ...] = ()
    """Of ``signal`` and ``mixed``: PUTs a second that fall due, one case each."""
    reconnecting: float = 0.1
    """Of ``mixed``: the share of agents that go and come back, 0 to 1."""
    patience: float = 10.0
    """Seconds to wait for an answer to a PUT, and then for the notification, before they are missing;
    three times as long for agents to come online, and longer if they are many."""
    storm: bool = False
    """Of ``connect``: kill our own server, and let all agents return at once."""

    def describe(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {name: getattr(self, name) for name in self.__slots__}
