import re

from roskva.conformance.names import Names

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_names_become_uuids_and_names_again() -> None:
    """Wherever a message names channels; one name is one UUID."""
    names = Names()
    sent = {"messageType": "hello", "channelIDs": ["a", "b", 5], "channelID": "a", "updates": [{"channelID": "b"}, 7]}
    spelled = names.spell(sent)
    assert isinstance(spelled, dict)
    assert UUID.fullmatch(spelled["channelID"])
    assert spelled["channelIDs"] == [spelled["channelID"], spelled["updates"][0]["channelID"], 5]
    assert spelled["updates"][1] == 7
    assert names.read(spelled) == sent
    assert names.spell(sent) == spelled


def test_what_is_no_name_stays() -> None:
    """UUIDs, malformed ids and other kinds reach the server as they are, and what nobody named comes as it is."""
    names = Names()
    for odd in (
        "d9b74644-4f97-46aa-b8fa-9393985cd6cd",
        "d9b746444f9746aab8fa9393985cd6cd",
        "",
        "a b",
        "é",
        5,
        None,
        ["a"],
    ):
        assert names.spell({"channelID": odd}) == {"channelID": odd}
        assert names.read({"channelID": odd}) == {"channelID": odd}
    assert names.spell(["a"]) == ["a"]
