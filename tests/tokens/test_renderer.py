"""Chat templates come with models: none takes much memory or long, whatever it is made to do, and
what ordinary ones do is what Jinja does."""

import datetime
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import jinja2
import psutil
import pytest
from jinja2.ext import loopcontrols

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.problems import RowError
from trainer_core.errors import BackpropError, UserError
from trainer_core.tokens import renderer
from trainer_core.tokens.compiled_template import CompiledTemplate
from trainer_core.tokens.renderer import MEMORY, Renderer

TURNS = (
    Turn("user", "How many ~ are 5 % of 100?"),
    Turn("assistant", "  5\n\nThat is {all}.  "),
)
TALK = Conversation("rows.jsonl:1", TURNS)
LONG = "{% set x = 'a' * 1000000 %}"
LITERAL = "y" * 100_000
DOUBLED = (
    "{{% set ns = namespace(x='aa') %}}{{% for i in range(60) %}}{}{{% endfor %}}{{{{ ns.x }}}}"
)

HOSTILE = {
    "a text, repeated": "{{ 'A' * 1000000000 }}",
    "doubled by ~": DOUBLED.format("{% set ns.x = ns.x ~ ns.x %}"),
    "doubled by +": DOUBLED.format("{% set ns.x = ns.x + ns.x %}"),
    "doubled by join": DOUBLED.format("{% set ns.x = [ns.x, ns.x]|join('-') %}"),
    "doubled in a block": DOUBLED.format("{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}"),
    "doubled in a list": DOUBLED.format("{% set ns.x = [ns.x, ns.x] %}"),
    "doubled in a tuple": DOUBLED.format("{% set ns.x = (ns.x, ns.x) %}"),
    "doubled in a dict": DOUBLED.format("{% set ns.x = {'a': ns.x, 'b': ns.x} %}"),
    "doubled by dict()": DOUBLED.format("{% set ns.x = dict(a=ns.x, b=ns.x) %}"),
    "doubled by format": DOUBLED.format("{% set ns.x = '{0}{0}'.format(ns.x) %}"),
    "doubled by %": DOUBLED.format("{% set ns.x = '%s%s' % (ns.x, ns.x) %}"),
    "doubled by a macro": "{% macro d(x) %}{{ x }}{{ x }}{% endmacro %}"
    + DOUBLED.format("{% set ns.x = d(ns.x) %}"),
    "doubled in one row alone": "{% for m in messages %}{% if '~' in m.content %}"
    + DOUBLED.format("{% set ns.x = ns.x ~ ns.x %}")
    + "{% endif %}{% endfor %}",
    "a namespace of namespaces": "{% set ns = namespace(x=namespace()) %}",
    "a namespace of itself": "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
    "a namespace in a list": "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns }}",
    "a list, repeated": "{{ (['a' * 1000] * 1000) * 1000 }}",
    "joined by a long text": LONG + "{{ range(100000)|join(x) }}",
    "joined by a method": LONG + "{{ x.join(['a', 'b'] * 1000) }}",
    "replaced by a filter": LONG + "{{ x|replace('a', x) }}",
    "replaced by name": LONG + "{{ x|replace(new=x, old='a') }}",
    "replaced by a method": LONG + "{{ x.replace('a', x) }}",
    "padded": "{{ 'a'.ljust(1000000000) }}",
    "filled": "{{ 'a'.zfill(1000000000) }}",
    "centered": "{{ 'a'|center(1000000000) }}",
    "a wide format": "{{ '{:>1000000000}'.format('a') }}",
    "a width from a value": "{{ '{:>{}}'.format('a', 1000000000) }}",
    "a width by name": "{{ '{a:>{w}}'.format_map({'a': 1, 'w': 1000000000}) }}",
    "a wide %": "{{ '%1000000000d' % 1 }}",
    "a wide %*": "{{ '%*d' % (1000000000, 1) }}",
    "a wide % by name": "{{ '%((a)b)1000000000d' % {'(a)b': 1} }}",
    "a wide format filter": "{{ '%1000000000d'|format(1) }}",
    "a precise %": "{{ '%.1000000000f' % 1 }}",
    "many widths": "{{ ('%9999d' * 100000) % ((1,) * 100000) }}",
    "a text in a loop": f"{{% for a in range(100000) %}}{LITERAL}{{% endfor %}}",
    "a text in a block": f"{{% set x %}}{{% for a in range(100000) %}}{LITERAL}{{% endfor %}}"
    "{% endset %}",
    "a text in a filter": f"{{% filter upper %}}{{% for a in range(100000) %}}{LITERAL}"
    "{% endfor %}{% endfilter %}",
    "a text of the assistant": "{% for a in range(100000) %}{% generation %}"
    f"{LITERAL}{{% endgeneration %}}{{% endfor %}}",
    "a long range": "{{ range(1000000000)|list }}",
    "a long batch": "{{ [1]|batch(1000000000, 'x')|list }}",
    "many slices": "{{ [1]|slice(1000000000)|list }}",
    "ends of a text": LONG + "{% set ns = namespace(l=[]) %}{% for i in range(10000) %}"
    "{% set ns.l = ns.l + [x[i:]] %}{% endfor %}",
    "many pieces": "{% set ns = namespace(l=[]) %}{% for i in range(10000) %}"
    "{% set ns.l = ns.l + [('a ' * 20000).split()] %}{% endfor %}",
    "mapped": "{{ range(100000)|map('string')|map('center', 9999)|list }}",
    "keys of a dict": LONG + "{{ {}.fromkeys(range(100000), x)|string }}",
    "indented far": "{{ ('\n' * 1000000)|indent(1000000) }}",
    "indented with a text": LONG + "{{ ('\n' * 1000000)|indent(x) }}",
    "indented over odd lines": "{{ ('\x0b' * 100000)|indent(10000) }}",
    "indented JSON": "{{ messages|tojson(indent=1000000000) }}",
    "JSON indented with a text": LONG + "{{ messages|tojson(indent=x) }}",
    "lists in lists": "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}"
    "{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
    "summed lists": "{{ ([[1] * 10] * 1000)|sum(start=[]) }}",
    "a power": "{{ 10 ** 10 ** 10 }}",
    "a power of powers": "{{ (10 ** 17) ** 17 }}",
    "a date": "{{ strftime_now('%999d' * 100000) }}",
    "slices": "{% set x = 'a' * 900000 %}" + "{% set a = x[1:] %}" * 200,
    "large numbers": "{% set n = ('f' * 900000)|int(base=16) %}{{ n }}",
    "escaped text": "{% set x = '<' * 900000 %}{% set m = ''|safe %}" + "{% set a = m + x %}" * 60,
    "loops in loops": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}"
    "{% endfor %}",
    "loops over a text": LONG + "{% for a in x %}{% for b in x %}{% endfor %}{% endfor %}",
    "a macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}"
    "{% endif %}{% endmacro %}{{ f(100) }}",
    "a loop in itself": "{% for a in [1, 2] recursive %}{% if loop.depth < 60 %}"
    "{{ loop([1, 2]) }}{% endif %}{% endfor %}",
    "a loop in itself, over a text": LONG + "{% for a in '1' recursive %}{% if loop.depth < 3 %}"
    "{{ loop(x) }}{% endif %}{% endfor %}",
    "its largest, again and again": LONG + "{% for i in range(100000) %}{% set b = x|max %}"
    "{% endfor %}",
    "searched again and again": LONG + "{% for a in range(100000) %}{% for b in range(10000) %}"
    "{% if 'b' in x %}{% endif %}{% endfor %}{% endfor %}",
    "a text for the page": "{{ lipsum(n=10000000) }}",
    "wrapped": LONG + "{{ x|wordwrap(1, wrapstring=x) }}",
    "tabs": "{{ ('\t' * 100000).expandtabs(10000) }}",
    "translated": LONG + "{{ x.translate({97: x}) }}",
    "bytes": "{{ 'a'.encode() * 1000000000 }}",
    "bytes of a number": "{{ (10).to_bytes(1000000000, 'big') }}",
    "a macro without end": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "brackets in brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "thirty loops": "{% for a in 'x' %}" * 30 + "{% endfor %}" * 30,
    "tuples in tuples": "{% set ns = namespace(c=cycler(1)) %}{% for i in range(100000) %}"
    "{% set ns.c = cycler(ns.c.items) %}{% endfor %}{{ {}[ns.c.items] }}",
    "a number of 5,000 digits": "{{ " + "9" * 5000 + " }}",
    "a hexadecimal of 5,000 digits": "{{ 0x" + "f" * 5000 + " }}",
    "escapes for web pages": "{% autoescape true %}{{ '<' }}{% endautoescape %}",
    "a long source": "{{ a }}" * 60_000,
    "items of items": "{{ a" + "[0]" * 300 + " }}",
    "a filter of filters": "{{ 'a'" + "|upper" * 5000 + " }}",
    "fields, repeated": "{{ ('{0}' * 100000).format('a' * 10000) }}",
    "fields of %, repeated": "{{ ('%(a)s' * 100000) % {'a': 'a' * 10000} }}",
    "stripped of many letters": "{{ ('a' * 3000000).strip('b' * 3000000 ~ 'a') }}",
    "attributes of attributes": "{{ ['a']|map(attribute='a.' * 400000)|list }}",
    "JSON of lists of lists": "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
    "compared": "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
    "what a macro is given": "{% macro f() %}{{ varargs }}{% endmacro %}"
    + "{% set x = 'a' * 90000000 %}{{ f(x, x) }}",
    "a power in one call": "{{ 7 ** 20000000 }}",
}


@contextmanager
def peak(rendering: Renderer) -> Iterator[list[int]]:
    """The most memory that the process of `rendering` had, bytes, once this is left."""
    most, left = [0], threading.Event()

    def watch() -> None:
        while not left.wait(0.005):
            with suppress(OSError, AssertionError, StopIteration):  # not yet begun, or ended
                status = Path(f"/proc/{pid(rendering)}/status").read_text()
                size = next(line for line in status.splitlines() if line.startswith("VmHWM"))
                most[0] = max(most[0], int(size.split()[1]) << 10)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        left.set()
        thread.join()


def pid(rendering: Renderer) -> int:
    process = rendering._process
    assert process is not None
    return process._popen.pid


@pytest.mark.parametrize("hostile", [*HOSTILE.values()], ids=[*HOSTILE])
def test_no_template_takes_much(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "SECONDS", 0.5)
    rendering = Renderer(hostile, "<s>", "</s>")
    with peak(rendering) as most:
        try:
            assert len(rendering.render(TURNS)) < 1_100_000
        except UserError as error:
            assert "the chat template" in error.message
    if sys.platform == "linux":
        assert 0 < most[0] < MEMORY + (64 << 20)  # what Python has when it begins


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        (
            "{{ messages[0].content * 10000000 }}{{ messages[1].content }}",
            r"writes more than 1,05\d,\d{3} characters",
        ),
        (HOSTILE["loops in loops"], "takes more than 0.5 s"),
        (HOSTILE["stripped of many letters"], "takes more than 0.5 s"),
        (HOSTILE["doubled by %"], "takes too much memory"),
    ],
)
def test_which_row_and_why(hostile: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer, "SECONDS", 0.5)
    in_one = "{% if messages[0].content == '!' %}" + hostile + "{% endif %}{{ messages|length }}"
    rendering = Renderer(in_one, "<s>", "</s>")
    bad = Conversation("rows.jsonl:2", (Turn("user", "!"), TURNS[1]))
    with pytest.raises(UserError, match=why) as caught:
        rendering.render_with_spans([TALK, bad])
    assert caught.value.where == "rows.jsonl:2"
    assert not isinstance(caught.value, RowError)
    assert rendering.render(TURNS) == "2"


def test_what_is_no_template_is_not_the_fault_of_a_row() -> None:
    with pytest.raises(UserError, match=r"is not valid: .*\(line 2\)") as caught:
        Renderer("\n{% if %}", "<s>", "</s>").render_with_spans([TALK])
    assert not caught.value.where
    with pytest.raises(UserError, match="takes too much memory"):
        Renderer(HOSTILE["a text, repeated"], "<s>", "</s>").render(TURNS)


def test_a_row_that_is_refused_leaves_the_others() -> None:
    source = (
        "{% if messages[0].content == '!' %}{{ raise_exception('No !') }}{% endif %}{{ bos_token }}"
    )
    source += "{% for m in messages %}{{ m.content }}{% endfor %}"
    refused = Conversation("rows.jsonl:2", (Turn("user", "!"), Turn("assistant", "a")))
    others = Conversation("rows.jsonl:3", (Turn("user", "b"), Turn("assistant", "🐓\ud83d\n")))
    first, second, third = Renderer(source, "<s>", "</s>").render_with_spans(
        [TALK, refused, others]
    )
    assert not isinstance(first, RowError)
    assert first[0][slice(*first[1][0])] == TURNS[1].content
    assert isinstance(second, RowError)
    assert (second.where, second.kind) == ("rows.jsonl:2", "refused by the template")
    assert "No !" in second.message
    assert third == ("<s>b🐓\ud83d\n", [(4, 7)])


def test_what_goes_to_the_template_besides_words() -> None:
    when = datetime.date(2026, 1, 2)
    turn = Turn("user", "a", {"when": when, "calls": ({"a": [1, None, 0.5, True]},)})
    source = "{{ messages[0].when }} {{ messages[0].calls[0].a }} {{ tools[0].name }}"
    text = Renderer(source, "<s>", "</s>").render([turn], tools=[{"name": "add"}])
    assert text == "2026-01-02 [1, None, 0.5, True] add"


def test_it_was_killed_by_another() -> None:
    rendering = Renderer("{{ messages|length }}", "<s>", "</s>")
    assert rendering.render(TURNS) == "2"
    os.kill(pid(rendering), signal.SIGKILL)
    with pytest.raises(BackpropError, match="most likely for want of memory") as caught:
        rendering.render(TURNS)
    assert not isinstance(caught.value, UserError)
    assert rendering.render(TURNS) == "2"


def test_it_ends_with_whoever_asked() -> None:
    """Killed, or done with: no process is left behind."""
    rendering = Renderer("{{ messages|length }}", "<s>", "</s>")
    rendering.render(TURNS)
    process = psutil.Process(pid(rendering))
    del rendering
    assert not process.is_running()
    program = (
        "import os, signal, sys\n"
        "from trainer_core.data.conversations import Turn\n"
        "from trainer_core.tokens.renderer import Renderer\n"
        "one = Renderer('{{ 1 }}', '', '')\n"
        "one.render([Turn('user', 'a')])\n"
        "print(one._process._popen.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(timeout=60)


def test_a_signal_to_the_group_is_not_for_it() -> None:
    """Ctrl+C in a terminal reaches every process of its group; the run decides what it does."""
    rendering = Renderer("{{ messages|length }}", "<s>", "</s>")
    rendering.render(TURNS)
    assert os.getpgid(pid(rendering)) != os.getpgid(0)


def test_a_deep_expression_is_compiled_at_once() -> None:
    """Jinja's folding of constants would take more than the time that there is."""
    assert Renderer("{{ " + "+" * 200 + "7 }}", "", "").render(TURNS) == "7"


def test_several_threads() -> None:
    rendering = Renderer("{{ messages[0].content }}", "<s>", "</s>")
    asked = [str(number) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(lambda one: rendering.render([Turn("user", one)]), asked)] == asked


@pytest.mark.parametrize(
    "ordinary",
    [
        "{% for m in messages %}{{ loop.index }}/{{ loop.length }} {{ loop.last }} {{ m.role }}: "
        "{{ m['content'] | trim }}{% if not loop.last %}, {% endif %}{% endfor %}",
        "{% for m in messages if m.role == 'user' %}{{ loop.previtem is defined }}"
        "{{ m.content }}{% else %}none{% endfor %}",
        "{% for k, v in messages[0].items() %}{{ k ~ '=' ~ v ~ 1 ~ none ~ [1, 'a'] }};{% endfor %}",
        "{% set ns = namespace(last=-1, text='') %}{% for m in messages[::-1] %}"
        "{% set ns.last = loop.index0 %}{% set ns.text = ns.text + m.content.strip() %}"
        "{% endfor %}{{ ns.last }}{{ ns.text }}{{ missing }}{{ {'a': (1, 2)} }}",
        "{% macro turn(m, end='.') %}{{ m.role ~ end }}{{ caller() if caller }}{% endmacro %}"
        "{{ turn(messages[0]) }}{% call turn(messages[1], end='!') %}<{{ 1 + 1 }}>{% endcall %}",
        "{{ messages|map(attribute='role')|join(', ') }} {{ ', '.join(['a', 'b']) }} "
        "{{ messages|selectattr('role', 'equalto', 'user')|list|length }} {{ [3, 1]|sort|first }}",
        "{{ 'a-b-c'.split('-')[-1] }} {{ 'abc'|replace('b', 'xx') }} {{ 'a.b'.replace('.', '-') }} "
        "{{ messages[1].content.lstrip('\n ').startswith('5') }} {{ 'x'.find('y', 20000) }}",
        "{{ '%s has %d, %5.2f %%' % ('a', 123456, 2.5) }} {{ '{:>5}|{}'.format('a', 99999) }} "
        "{{ '**%s**'|format('bold') }} {{ 'ab'.center(6, '*') }} {{ 1.5|round(1) }}",
        "{{ messages|length + 2 ** 10 % 7 }} {{ [1, 2, 3]|sum }} {{ [[1], [2]]|map('first')|sum }} "
        "{{ ['a'] * 3 }} {{ 'ab' * 2 }} {{ 7 // 2 }} {{ (1, 2) + (3,) }} {{ x|default('y') }}",
        "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}"
        "{% endif %}{{ i }}{% endfor %}{% filter upper %}abc{{ 'd' }}{% endfilter %}",
        "{% set block %}<{{ messages[0].role }}>{% endset %}{{ block }}{{ block|length }}"
        "{{ 'a\nb'|indent(2) }}{{ '%5s'|format('a') }}{{ none }}{{ true }}{{ 1.0 }}",
        "{% for part in ['a', ['b', ['c']]] recursive %}{% if part is string %}{{ part }}"
        "{% else %}({{ loop(part) }}){% endif %}{% endfor %}",
        "{% for m in messages %}{% block turn scoped %}{{ m.role }}{% endblock %}{% endfor %}",
        "{{ 'xx'|replace('x', 'y', count=1) }} {{ '%(context)s'|format(context=1) }} {{ 7 - 2 }}",
        "{% for row in [1, 2, 3, 4, 5]|batch(2, '-') %}{{ row }}{% endfor %}"
        "{% for a, b in {'x': 1, 'w': 2}|dictsort %}{{ a }}{{ b }}{% endfor %}",
    ],
)
def test_what_ordinary_templates_do_is_what_jinja_does(ordinary: str) -> None:
    theirs = jinja2.Environment(  # noqa: S701 - as transformers makes its own
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    ).from_string(ordinary)
    messages = [{"role": turn.role, "content": turn.content} for turn in TURNS]
    expected = theirs.render(messages=messages, tools=None, add_generation_prompt=False)
    assert Renderer(ordinary, "<s>", "</s>").render(TURNS) == expected


def test_json_is_as_transformers_writes_it() -> None:
    values = "[{'b': 'é<\\'', 'a': [1, none, 2.5]}, 'x']"
    source = "{{ %s|tojson(%s) }}"
    assert CompiledTemplate(source % (values, ""), "", "").render([]) == (
        '[{"b": "é<\'", "a": [1, null, 2.5]}, "x"]'
    )
    asked = "ensure_ascii=true, separators=(',', ':'), sort_keys=true"
    assert CompiledTemplate(source % (values, asked), "", "").render([]) == (
        '[{"a":[1,null,2.5],"b":"\\u00e9<\'"},"x"]'
    )


def test_a_long_conversation_may_make_much() -> None:
    talk = [Turn("user", "word " * 100_000)] * 20
    source = (
        "{% set ns = namespace(text='') %}{% for m in messages %}"
        "{% set ns.text = ns.text + m.content|trim ~ '\n' %}{% endfor %}{{ ns.text }}"
    )
    assert len(Renderer(source, "<s>", "</s>").render(talk)) == 20 * 500_000
