"""The documentation of the fields is the schema's own."""

from pathlib import Path

from trainer_core.config.explain import explain, markdown
from trainer_core.config.fields_list import all_fields, json_schema

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_schema_says() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert page == markdown(), "make it anew: make docs"


def test_every_field_says_what_it_is_for_and_takes() -> None:
    for field in all_fields():
        assert field.description.endswith("."), field.name
        assert field.takes not in ("", "anything"), field.name
        assert explain(field.name)[0].startswith(field.name)


def test_the_json_schema_takes_what_we_take() -> None:
    schema = json_schema()
    train = schema["$defs"]["DataSection"]["properties"]["train"]
    assert {"type": "string"} in train["anyOf"]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"model", "data"}
