"""The mirror in the C core: publication, shadow, take-over, events, and memory that lies."""

from __future__ import annotations

import mmap
import random
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feagi_state import spec
from feagi_state._core import HEADER_LEN, SCHEMA_HASH, Mirror, mirror_len, region_shape
from places import TRAILER_LEN, header_at, layout, page_of, section_at, section_head_at, table_at, trailer_at, word_of

TINY_LEN = spec.PROFILES["tiny"].region_len
SEQUENCES = 256  # feagi_mirror.h: FEAGI_MIRROR_PAGES
AGENTS_AT = section_at("tiny", "agents")  # of both profiles
AGENTS_WORD = word_of(AGENTS_AT)
AGENT_PAGE = page_of("tiny", AGENTS_AT)
CORE_WORDS = layout("tiny")[1][1][1] // 4  # of the core block's first page
AGENT_WORDS = (section_at("micro", "agents", 1) - section_at("micro", "agents")) // 4
HEADER_WORD = word_of(0)


def make(profile: str = "tiny") -> tuple[bytearray, Mirror, list[tuple[int, int]]]:
    region, pages = layout(profile)
    memory = bytearray(mirror_len(len(region)))
    return memory, Mirror(memory, region), pages


def sequence_at(mirror: Mirror, page: int) -> int:
    return mirror.region_len + TRAILER_LEN + 4 * page


def shadow_at(mirror: Mirror) -> int:
    return mirror.region_len + TRAILER_LEN + 4 * SEQUENCES


def test_the_compiled_core_has_the_schema_of_the_python_constants():
    assert SCHEMA_HASH == spec.SCHEMA_HASH
    assert HEADER_LEN == spec.HEADER_LEN_BYTES
    for profile in spec.PROFILES.values():
        region, pages = layout(next(n for n, p in spec.PROFILES.items() if p is profile))
        assert region_shape(region[:HEADER_LEN]) == (profile.region_len, len(pages))


@pytest.mark.parametrize("profile", ["tiny", "micro"])
def test_a_new_mirror_has_the_image_it_was_made_from(profile):
    region, pages = layout(profile)
    region[200:210] = b"0123456789"
    mirror = Mirror(bytearray(mirror_len(len(region))), region)
    assert mirror.pages == len(pages)
    assert mirror.read_region() == region
    assert [mirror.read_page(i) for i in range(len(pages))] == [bytes(region[at : at + n]) for at, n in pages]


def test_a_mirror_of_a_header_alone_is_zero_otherwise():
    region, _ = layout("tiny")
    mirror = Mirror(bytearray(b"\xff" * mirror_len(len(region))), region[:HEADER_LEN])
    assert mirror.read_region() == region[:HEADER_LEN] + bytes(len(region) - HEADER_LEN)


def test_a_region_with_too_many_pages_for_a_mirror_is_refused():
    region, pages = layout("host")
    assert len(pages) > SEQUENCES
    with pytest.raises(ValueError):
        Mirror(bytearray(mirror_len(len(region))), region)


def test_fields_have_their_types():
    _, mirror, _ = make()
    block = bytearray(128)
    struct.pack_into("<BBB3xB", block, 0, 2, 1, 3, 1)
    struct.pack_into("<f", block, 12, 2.5)
    struct.pack_into("<I", block, 16, 0xFFFFFFFF)
    struct.pack_into("<QQQ", block, 48, 2**64 - 1, 1, 2**40)
    mirror.publish((0, bytes(block[:48]), 12, bytes(block[48:64]), 16, bytes(block[64:])))
    values = {name: mirror.load_field(field.offset) for name, field in spec.CORE_FIELDS.items()}
    assert values["burst_engine_state"] == 3 and values["brain_readiness"] is True
    assert values["burst_frequency"] == 2.5 and values["neuron_count"] == 0xFFFFFFFF
    assert values["version"] == 2**64 - 1 and values["genome_timestamp"] == 2**40
    for offset in (1, 7, 13, 127):
        if offset not in [field.offset for field in spec.CORE_FIELDS.values()]:
            with pytest.raises(IndexError):
                mirror.load_field(offset)
    for offset in (-1, 128, 2**70):
        with pytest.raises((IndexError, OverflowError)):
            mirror.load_field(offset)


def test_a_delta_fills_the_last_words_missing_bytes_with_zeros():
    _, mirror, _ = make()
    mirror.publish((4, b"\xff\xff\xff\xff"))
    assert mirror.publish((4, b"\x01")) == (1,)
    assert mirror.load_field(16) == 1


def test_all_runs_of_a_page_are_one_publication():
    memory, mirror, _ = make()
    at = sequence_at(mirror, 1)
    runs = (0, b"\x01", 4, b"\x02", 9, b"\x03", 12, b"\x04", AGENTS_WORD, b"\x05")
    assert mirror.publish(runs) == (1, 2, AGENT_PAGE)
    assert struct.unpack_from("<I", memory, at)[0] == 2
    assert mirror.trailer_u32(spec.MIRROR_FIELDS["publications"].offset) == 3


TINY_WORDS = spec.PROFILES["tiny"].region_len // 4


@pytest.mark.parametrize(
    "items",
    [
        (HEADER_WORD - 1, b"x"),
        (-1, b"12345"),  # over the header's end
        (11, b"12345"),  # over the end of the core block's first page
        (0, b"x" * 53),
        (0, b""),
        (0, b"x" * 129),
        (4, b"x", 4, b"x"),  # twice
        (5, b"x", 4, b"x"),  # falling
        (4, b"12345", 5, b"x"),  # overlapping
        (0, b"x", 12, b"x", 1, b"x"),  # a page that comes back
        (word_of(section_head_at("tiny", "events")), b"x"),  # the ring of events is no page
        (word_of(section_at("tiny", "events")), b"x"),
        (2**31 - 1, b"x"),
        (-(2**31), b"x"),
        (2**64 - 1, b"x"),
        (TINY_WORDS, b"x"),
        (HEADER_WORD, b"FGSX"),  # the header's magic
        (word_of(header_at("region_len")), struct.pack("<I", 4096)),
        (word_of(header_at("sections")), struct.pack("<I", 256)),
    ],
    ids=str,
)
@pytest.mark.parametrize("before", [(), (16, b"\x07", AGENTS_WORD, b"\x08")], ids=["alone", "behind good runs"])
def test_a_delta_that_does_not_fit_changes_nothing(items, before):
    memory, mirror, _ = make()
    image = bytes(memory)
    with pytest.raises(ValueError):
        mirror.publish(before + items)
    assert memory == image


def test_the_headers_flags_and_boot_id_may_change():
    _, mirror, _ = make()
    assert mirror.publish((word_of(header_at("boot_id")), struct.pack("<II", 99, 1))) == (0,)
    assert struct.unpack_from("<II", mirror.read_page(0), header_at("boot_id")) == (99, 1)


@pytest.mark.parametrize("wrong", [[0, b"x"], (0, "x"), (0.0, b"x"), (b"x", 0)])
def test_a_delta_of_other_types_is_a_type_error(wrong):
    _, mirror, _ = make()
    with pytest.raises(TypeError):
        mirror.publish(wrong)
    with pytest.raises(ValueError):
        mirror.publish((0, b"x", 1))


@given(st.integers(0, 2**32), st.sampled_from(["tiny", "micro"]))
@settings(max_examples=60)
def test_deltas_make_the_same_bytes_as_a_plain_copy(seed, profile):
    source = random.Random(seed)
    region, pages = layout(profile)
    mirror = Mirror(bytearray(mirror_len(len(region))), region)
    for _ in range(20):
        items: list[object] = []
        chosen = source.sample(range(1, len(pages)), 3)
        for at, length in (pages[number] for number in chosen):
            words = list(range(at // 4, (at + length) // 4))
            first = source.choice(words)
            data = source.randbytes(source.randrange(1, 4 * (words[-1] + 1 - first) + 1))
            items += [word_of(4 * first), data]
            padded = data + bytes(-len(data) % 4)
            region[4 * first : 4 * first + len(padded)] = padded
        assert set(mirror.publish(tuple(items))) == set(chosen)
    assert mirror.read_region() == region


@pytest.mark.parametrize("profile", ["tiny", "micro"])
def test_digest_is_the_crc_of_all_pages_in_order(profile):
    region, pages = layout(profile)
    for at, length in pages[1:]:
        region[at : at + length] = bytes(at * i % 251 for i in range(length))
    crc = 0
    for at, length in pages:
        crc = zlib.crc32(region[at : at + length], crc)
    mirror = Mirror(bytearray(mirror_len(len(region))), region)
    mirror.push_event(300, 1, 2)  # no page
    assert mirror.digest() == crc


WRITER = f"""
CORE_WORDS, AGENTS_WORD, AGENT_WORDS = {CORE_WORDS}, {AGENTS_WORD}, {AGENT_WORDS}
import mmap, struct, sys
from feagi_state._core import Mirror
file = open(sys.argv[1], "r+b")
mirror = Mirror(mmap.mmap(file.fileno(), 0))
for n in range(1, int(sys.argv[2]) + 1):
    word = struct.pack("<I", n)
    mirror.publish((0, word * CORE_WORDS, 16, word * 16, AGENTS_WORD, word * AGENT_WORDS))
    if n % 100 == 0:
        mirror.push_event(300, n, n)
"""


def test_a_reader_of_another_process_never_sees_half_of_a_page(tmp_path):
    region, _ = layout("micro")
    path = tmp_path / "mirror"
    path.write_bytes(bytes(mirror_len(len(region))))
    with open(path, "r+b") as file:
        Mirror(mmap.mmap(file.fileno(), 0), region).close()
    last = 100_000
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(last)])
    with open(path, "rb") as file:
        mirror = Mirror(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    seen = position = 0
    while seen < last:
        assert writer.poll() in (None, 0)
        field = mirror.load_field(16)
        page = set(struct.unpack(f"<{CORE_WORDS}I", mirror.read_page(1)))
        assert len(page) == 1, f"half of a page: {page}"
        [now] = page
        # A field and a page are two views of one history.
        assert seen <= field <= now <= mirror.load_field(16)
        agent = set(struct.unpack(f"<{AGENT_WORDS}I", mirror.read_agent(0)))
        assert len(agent) == 1
        event = mirror.read_event(position)
        if isinstance(event, int):
            position += event
        elif event is not None:
            position += 1
            assert event == (300, 100 * position, 100 * position)
        seen = now
    assert writer.wait() == 0


# ------------------------------------------------------------------------- an owner that died in a publication


def half_published(profile: str = "tiny") -> tuple[bytearray, Mirror, int]:
    """A mirror as a killed owner leaves it: an agent's page half new in the region, whole and old in the shadow."""
    memory, mirror, pages = make(profile)
    mirror.publish((AGENTS_WORD, b"old!" * 16))
    at, length = pages[AGENT_PAGE]
    memory[at : at + length // 2] = b"new?" * (length // 8)
    memory[sequence_at(mirror, AGENT_PAGE)] += 1
    return memory, mirror, AGENT_PAGE


@pytest.mark.parametrize("profile", ["tiny", "micro"])
def test_readers_take_the_shadow_of_a_page_that_is_half_published(profile):
    memory, _, page = half_published(profile)
    reader = Mirror(bytes(memory))
    assert reader.read_page(page)[:64] == b"old!" * 16
    assert reader.read_agent(0)[:64] == b"old!" * 16
    assert reader.read_region()[AGENTS_AT : AGENTS_AT + 64] == b"old!" * 16


def test_single_fields_agree_with_their_page_while_it_is_published():
    memory, mirror, pages = make()
    mirror.publish((4, b"\x01"))
    at, _ = pages[1]
    memory[at + 16] = 2
    memory[sequence_at(mirror, 1)] += 1
    assert mirror.load_field(16) == 1
    assert struct.unpack_from("<I", mirror.read_page(1), 16)[0] == 1


def test_a_take_over_repairs_what_the_dead_owner_left():
    memory, _, page = half_published()
    owner = Mirror(memory)
    owner.take_over()
    assert memory[AGENTS_AT : AGENTS_AT + 64] == b"old!" * 16
    assert struct.unpack_from("<I", memory, sequence_at(owner, page))[0] % 2 == 0
    assert owner.publish((AGENTS_WORD, b"next")) == (page,)
    assert owner.read_page(page)[:8] == b"nextold!"


def test_a_take_over_repairs_a_shadow_that_was_not_brought_up_to_date():
    memory, mirror, pages = make()
    mirror.publish((4, b"\x05"))
    at = shadow_at(mirror) + pages[1][0]
    memory[at + 16] = 0  # killed behind the even number
    owner = Mirror(memory)
    owner.take_over()
    assert memory[at : at + 48] == memory[128:176]
    # From the next odd number on readers depend on it.
    memory[sequence_at(owner, 1)] += 1
    memory[128 + 16] = 9
    assert owner.load_field(16) == 5


# -------------------------------------------------------------------------------------------------------- events


def test_events_come_in_order_and_not_before_they_are_there():
    _, mirror, _ = make()
    assert mirror.read_event(0) is None
    mirror.push_event(300, 7, 1000)
    mirror.push_event(2, 0xFFFFFFFF, 0xFFFFFFFF)
    assert mirror.read_event(0) == (300, 7, 1000)
    assert mirror.read_event(1) == (2, 0xFFFFFFFF, 0xFFFFFFFF)
    assert mirror.read_event(2) is None
    assert mirror.events_head == 2


def test_overtaken_events_are_counted():
    _, mirror, _ = make()
    capacity = mirror.events_capacity
    for n in range(capacity + 5):
        mirror.push_event(300, n, 0)
    assert mirror.read_event(0) == 5
    assert mirror.read_event(4) == 1
    assert [mirror.read_event(n) for n in range(5, capacity + 5)] == [(300, n, 0) for n in range(5, capacity + 5)]


def test_an_event_that_is_being_overwritten_is_lost_not_torn():
    memory, mirror, _ = make()
    capacity = mirror.events_capacity
    for n in range(capacity):
        mirror.push_event(300, n, 0)
    slot = section_at("tiny", "events")
    struct.pack_into("<I", memory, slot, (capacity + 1) ^ 0x80000000)  # as the owner begins with position `capacity`
    assert mirror.read_event(0) == 1
    assert mirror.read_event(1) == (300, 1, 0)
    assert mirror.read_event(capacity) is None


def test_positions_wrap():
    memory, mirror, _ = make()
    struct.pack_into("<I", memory, section_head_at("tiny", "events"), 2**32 - 2)
    for n in range(4):
        mirror.push_event(300, n, 0)
    assert mirror.events_head == 2
    assert [mirror.read_event(p) for p in (2**32 - 2, 2**32 - 1, 0, 1, 2)] == [(300, n, 0) for n in range(4)] + [None]


@pytest.mark.parametrize("event", [(65536, 0, 0), (0, 2**32, 0), (0, 0, 2**32)])
def test_an_event_that_does_not_fit_is_refused(event):
    _, mirror, _ = make()
    with pytest.raises(ValueError):
        mirror.push_event(*event)


# ----------------------------------------------------------------------------------------------- who may do what


def test_a_read_only_buffer_is_read_but_not_written():
    memory, _, _ = make()
    reader = Mirror(bytes(memory))
    assert not reader.writable
    assert reader.read_region()
    for write in (
        lambda: reader.publish((0, b"x")),
        lambda: reader.publish_page(1, bytes(48)),
        lambda: reader.push_event(1, 2, 3),
        lambda: reader.take_over(),
        lambda: reader.set_trailer_u32(8, 1),
        lambda: reader.set_trailer_u64(16, 1),
        lambda: reader.set_trailer_bytes(128, b"x"),
        lambda: Mirror(bytes(memory), layout("tiny")[0]),
    ):
        with pytest.raises(TypeError):
            write()


def test_a_closed_mirror_gives_its_buffer_back_and_refuses_everything():
    memory, mirror, _ = make()
    with pytest.raises(BufferError):
        memory.clear()
    mirror.close()
    mirror.close()
    assert mirror.closed
    memory.clear()
    for use in (mirror.digest, lambda: mirror.load_field(0), lambda: mirror.pages, mirror.read_region):
        with pytest.raises(ValueError):
            use()


@pytest.mark.parametrize("offset", [-1, TRAILER_LEN - 3, TRAILER_LEN, 10**20])
def test_the_trailer_has_ends(offset):
    _, mirror, _ = make()
    for use in (
        lambda: mirror.trailer_u32(offset),
        lambda: mirror.trailer_u64(offset),
        lambda: mirror.set_trailer_u32(offset, 1),
        lambda: mirror.set_trailer_u64(offset, 1),
        lambda: mirror.trailer_bytes(offset, 8),
        lambda: mirror.set_trailer_bytes(offset, bytes(8)),
    ):
        with pytest.raises((IndexError, OverflowError)):
            use()
    with pytest.raises(IndexError):
        mirror.set_trailer_u64(TRAILER_LEN - 16, 1, 2, 3)
    with pytest.raises(ValueError):
        mirror.trailer_u32(2)


# -------------------------------------------------------------------------------------------- memory that lies


def spoiled(offset: int, data: bytes, profile: str = "tiny") -> bytes:
    memory, _, _ = make(profile)
    memory[offset : offset + len(data)] = data
    return bytes(memory)


@pytest.mark.parametrize(
    "memory",
    [
        b"",
        bytes(8),
        bytes(4096),
        b"\xff" * 4096,
        spoiled(header_at("magic"), b"XGST"),
        spoiled(header_at("layout_version"), b"\x63"),
        spoiled(header_at("schema_hash"), b"\0\0\0\0"),  # another schema
        spoiled(header_at("region_len"), struct.pack("<I", 2**31)),
        spoiled(header_at("region_len"), struct.pack("<I", 64)),
        spoiled(table_at("agents"), struct.pack("<IHH", AGENTS_AT, 65535, 65528)),
        spoiled(table_at("agents", "capacity"), struct.pack("<HH", 65535, 64)),
        spoiled(table_at("agents", "entry_len"), struct.pack("<H", 65)),
        *(spoiled(table_at(name), struct.pack("<I", 2**32 - 64)) for name in spec.SECTIONS),  # outside
        *(spoiled(table_at(name, "capacity"), struct.pack("<H", 65535)) for name in spec.SECTIONS),
        *(spoiled(table_at(name, "capacity"), struct.pack("<H", 0)) for name in spec.SECTIONS),
        *(spoiled(table_at(name, "entry_len"), struct.pack("<H", 0)) for name in spec.SECTIONS),
        spoiled(trailer_at("tiny", "magic"), b"XGMR"),
        spoiled(trailer_at("tiny", "mirror_version"), b"\x63"),
        make()[0][:-1],
        make()[0][: TINY_LEN + TRAILER_LEN],
        make()[0][:200],
    ],
)
def test_memory_that_is_no_mirror_is_refused(memory):
    with pytest.raises(ValueError):
        Mirror(memory)
    with pytest.raises(ValueError):
        Mirror(bytearray(memory))


@given(st.data())
@settings(max_examples=300)
def test_no_bytes_of_a_mirror_lead_a_reader_outside(data):
    """Whatever a hostile owner writes: the reader refuses it or gives some answer, and does not crash or hang."""
    memory, _, _ = make(data.draw(st.sampled_from(["tiny", "micro"])))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(memory) - 1))
        value = data.draw(st.binary(min_size=1, max_size=8))
        memory[at : at + len(value)] = value[: len(memory) - at]
    size = data.draw(st.sampled_from([len(memory)] * 3 + [len(memory) // 2]))
    try:
        mirror = Mirror(bytes(memory[:size]))
    except ValueError:
        return
    mirror.read_region()
    mirror.digest()
    for slot in range(mirror.agents):
        mirror.read_agent(slot)
    for position in (0, 1, 2**31, 2**32 - 1, mirror.events_head - 1, mirror.events_head):
        mirror.read_event(position)
