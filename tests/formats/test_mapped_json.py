"""JSON logs of any shape are read by a map of dotted paths, exactly like CSV."""

import json

import pytest

from metering.domain.errors import DomainError, LogFormatError
from metering.domain.usage.events import QuantityGrade
from metering.formats.blocks import BlockDecoder, RawBlock
from metering.formats.csv_columns import parse_columns
from metering.formats.detect import detect_format, stated_format
from metering.formats.options import DecodeOptions
from support.builders import NOW, instant

MAP = "time=at,model=req.model,input_tokens=usage.in,output_tokens=usage.out"
RECORD = {
    "at": "2026-11-03T10:00:00Z",
    "req": {"model": "meta-llama/Llama-3.3-70B-Instruct:together", "messages": [{"content": "secret"}]},
    "usage": {"in": 1_200, "out": 250},
}


def decoded(*records, columns=MAP, **options):
    decoder = BlockDecoder("json", DecodeOptions(source="app", now=NOW, columns=parse_columns(columns.split(",")), **options))
    text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in records)
    return decoder.decode(RawBlock(text.encode(), 1, 0))


def event(record, **options):
    block = decoded(record, **options)
    assert block.rejected == []
    return block.events[0].event


def code(record, **options):
    (rejected,) = decoded(record, **options).rejected
    return rejected.code, rejected.reason


def test_paths_lead_to_the_fields_of_an_event():
    found = event(RECORD)
    assert (found.model, found.provider) == ("meta-llama/Llama-3.3-70B-Instruct", "together")
    assert (found.quantities.input_tokens, found.quantities.output_tokens) == (1_200, 250)
    assert (found.time, found.quantity_grade) == (instant("2026-11-03T10:00:00Z"), QuantityGrade.MEASURED)


def test_a_name_with_dots_comes_before_a_path_and_a_number_is_an_item_of_a_list():
    record = {"at": 1_793_699_000.5, "a.b": "llama", "a": {"b": "other"}, "n": [{"t": 3}, {"t": 4}]}
    found = event(record, columns="time=at,model=a.b,input_tokens=n.1.t")
    assert (found.model, found.quantities.input_tokens, found.time) == ("llama", 4, 1_793_699_000_500_000)


def test_prompt_tokens_include_the_cached_ones():
    record = RECORD | {"usage": {"p": 1_000, "c": 600, "o": 200}}
    found = event(record, columns="time=at,model=req.model,prompt_tokens=usage.p,cached_tokens=usage.c,output_tokens=usage.o")
    assert (found.quantities.input_tokens, found.quantities.cache_read_tokens) == (400, 600)


def test_commas_quotes_and_line_ends_in_a_value_stay_in_it():
    found = event(RECORD | {"p": 'a,"b"'}, columns=f"{MAP},project=p")
    assert found.project == 'a,"b"'


def test_what_is_not_there_is_not_stated():
    found = event({"at": RECORD["at"], "req": RECORD["req"], "usage": None})
    assert found.quantity_grade == QuantityGrade.UNSTATED
    assert code({"req": RECORD["req"]})[0] == "missing_time"
    assert code({"at": RECORD["at"]})[0] == "missing_model"
    assert event({"at": RECORD["at"]}, model="llama").model == "llama"


def test_an_object_or_a_list_is_no_value():
    assert code(RECORD | {"at": {"s": 1}}) == ("wrong_type", "at is an object; map a single value inside it")
    assert code(RECORD | {"req": {"model": ["x"]}}) == (
        "wrong_type",
        "req.model is an array; map a single value inside it",
    )


def test_numbers_must_be_counts():
    assert code(RECORD | {"usage": {"in": 1.5, "out": 1}})[0] == "invalid_quantity"
    assert code(RECORD | {"usage": {"in": -1, "out": 1}})[0] == "invalid_quantity"
    assert event(RECORD | {"usage": {"in": 12.0, "out": 1}}).quantities.input_tokens == 12


def test_a_bad_record_costs_no_other_and_nothing_of_its_content_is_kept():
    block = decoded(RECORD, '{"broken', RECORD | {"at": "yesterday"}, RECORD | {"at": "2026-11-03T10:00:01Z"})
    assert (len(block.events), [each.code for each in block.rejected]) == (2, ["not_json", "invalid_time"])
    assert "secret" not in str(block.rejected)


def test_fields_that_are_not_mapped_are_named_and_content_is_not():
    block = decoded(RECORD | {"trace": "t-1", "messages": ["secret"]})
    assert block.unread_fields == {"trace": 1}


def test_tags_have_paths_too():
    assert event(RECORD | {"meta": {"team": "core"}}, tag_fields=("meta.team",)).tags == {"meta.team": "core"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("model=m,input_tokens=i", "no column for the time"),
        ("time=t,prompt_tokens=p,input_tokens=i", "map only one of them"),
    ],
)
def test_a_map_that_cannot_be_an_event_is_refused(columns, message):
    with pytest.raises(LogFormatError, match=message):
        decoded(RECORD, columns=columns)


def test_a_map_is_for_csv_and_json_of_any_shape():
    with pytest.raises(DomainError, match="only for CSV and for JSON of any shape"):
        BlockDecoder("openai", DecodeOptions(source="app", now=NOW, columns={"time": "at"}))


def test_with_a_map_json_is_detected_as_json_and_other_text_as_csv():
    assert detect_format(json.dumps(RECORD).encode(), "x.jsonl", columns={"time": "at"}) == ("json", "lines")
    assert detect_format(b"[{}]", "x.json", columns={"time": "at"}) == ("json", "document")
    assert detect_format(b"at,model\n1,2", "x.csv", columns={"time": "at"}) == ("csv", "lines")


def test_a_stated_format_is_obeyed_where_nothing_can_be_detected():
    strange = b'{"who": "knows"}\n{"what": 1}\n'
    with pytest.raises(LogFormatError, match="neither native events nor OpenAI-shaped"):
        detect_format(strange, "x.jsonl")
    assert stated_format("openai", strange, "x.jsonl") == ("openai", "lines")
    assert stated_format("native", b"plain text", "x.log") == ("native", "lines")
    assert stated_format("native", b'[{"id": 1}]', "x.json") == ("native", "document")
    assert stated_format("csv", b"{not json, really\n", "x") == ("csv", "lines")
    with pytest.raises(LogFormatError, match="empty"):
        stated_format("csv", b"  \n", "x")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": "other"}, ("meta-llama/Llama-3.3-70B-Instruct", "together")),
        ({"model": "other", "override": ("model",)}, ("other", "together")),
        ({"model": "other:novita", "override": ("model",)}, ("other", "together")),
        ({"provider": "fireworks_ai", "override": ("provider",)}, ("meta-llama/Llama-3.3-70B-Instruct", "fireworks-ai")),
        ({"model": "o", "provider": "groq", "override": ("model", "provider")}, ("o", "groq")),
    ],
)
def test_an_override_applies_whatever_the_record_states_and_a_default_does_not(options, expected):
    found = event(RECORD, **options)
    assert (found.model, found.provider) == expected


def test_a_model_that_overrides_names_the_provider_of_records_that_name_none():
    record = RECORD | {"req": {"model": "plain"}}
    assert event(record, model="other:novita", override=("model",)).provider == "novita"


def test_an_override_needs_a_value():
    with pytest.raises(DomainError, match="override-provider needs a provider"):
        decoded(RECORD, override=("provider",))
