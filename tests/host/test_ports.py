"""Boards that are plugged in again under another name. What USB would say is made up: a pseudo-terminal has no USB."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from fake_device import FakeDevice, PtyDevice
from feagi_state import Fleet, PortError, attach, connect
from feagi_state.port_finder import PortFinder

WAIT_S = 20.0


class Usb:
    """Ports as USB tells of them, and the boards behind them."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.ports: dict[str, SimpleNamespace] = {}
        self.boards: dict[str, PtyDevice] = {}

    def comports(self):
        return list(self.ports.values())

    def plug(self, name: str, serial_number: str | None, interface: str = "", vid: int | None = 0xF055) -> str:
        path = str(self.folder / name)
        board = self.boards[name] = PtyDevice(FakeDevice(len(self.boards) + 50, name=f"board {serial_number}"), path)
        location = f"1-2:1.{interface}" if interface else "1-2"
        self.ports[name] = SimpleNamespace(
            device=os.path.realpath(path), vid=vid, pid=0x9800, serial_number=serial_number, location=location
        )
        assert board.port == path
        return path

    def unplug(self, name: str) -> None:
        del self.ports[name]
        self.boards.pop(name).close()


@pytest.fixture
def usb(tmp_path, monkeypatch):
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path / "mirrors"))
    made = Usb(tmp_path)
    monkeypatch.setattr(list_ports, "comports", made.comports)
    yield made
    for board in made.boards.values():
        board.close()


def opened(finder: PortFinder) -> str:
    """The name of what it opens."""
    transport = finder.open()
    transport.close()
    return transport.name


def test_a_board_is_found_again_by_its_serial_number(usb):
    finder = PortFinder(usb.plug("ttyACM0", "A1"), 115200)
    assert opened(finder) == str(usb.folder / "ttyACM0")
    usb.unplug("ttyACM0")
    usb.plug("ttyACM3", "B2")
    with pytest.raises(PortError, match=r"USB serial number A1.*plugged in") as caught:
        finder.open()
    assert caught.value.reason == "absent"
    usb.plug("ttyACM1", "A1")
    assert os.path.samefile(opened(finder), usb.folder / "ttyACM1")


def test_another_board_under_the_old_name_is_not_taken_for_it(usb):
    finder = PortFinder(usb.plug("ttyACM0", "A1"), 115200)
    opened(finder)
    usb.unplug("ttyACM0")
    usb.plug("ttyACM0", "B2")
    with pytest.raises(PortError, match="A1"):
        finder.open()
    usb.plug("ttyACM1", "A1")
    assert os.path.samefile(opened(finder), usb.folder / "ttyACM1")


def test_of_a_board_with_two_ports_it_is_the_same_one(usb):
    usb.plug("ttyACM0", "A1", interface="0")
    finder = PortFinder(usb.plug("ttyACM1", "A1", interface="2"), 115200)
    opened(finder)
    usb.unplug("ttyACM0")
    usb.unplug("ttyACM1")
    usb.plug("ttyACM7", "A1", interface="2")
    usb.plug("ttyACM8", "A1", interface="0")
    assert os.path.samefile(opened(finder), usb.folder / "ttyACM7")


@pytest.mark.parametrize(("serial_number", "vid"), [(None, 0x1A86), ("A1", None)])
def test_a_port_that_usb_tells_no_number_of_is_its_name(usb, serial_number, vid):
    finder = PortFinder(usb.plug("ttyUSB0", serial_number, vid=vid), 115200)
    opened(finder)
    usb.unplug("ttyUSB0")
    usb.plug("ttyUSB1", serial_number, vid=vid)
    with pytest.raises(PortError, match=r"there is no port .*ttyUSB0"):
        finder.open()
    usb.plug("ttyUSB0", serial_number, vid=vid)
    assert opened(finder) == str(usb.folder / "ttyUSB0")


def test_a_port_can_be_named_by_its_serial_number(usb):
    finder = PortFinder("id:A1", 115200)
    with pytest.raises(PortError, match="no port with the USB serial number A1"):
        finder.open()
    usb.plug("ttyACM0", "A1", interface="0")
    assert os.path.samefile(opened(finder), usb.folder / "ttyACM0")
    usb.plug("ttyACM1", "A1", interface="2")
    with pytest.raises(PortError, match="name the one that is meant"):
        finder.open()


@pytest.fixture(params=["connect", "Fleet"])
def device(request, usb):
    """The device of the board A1 on ttyACM0, live."""
    port = usb.plug("ttyACM0", "A1")
    if request.param == "connect":
        with connect(port) as made:
            yield made
    else:
        with Fleet([port]) as fleet:
            fleet.wait_live(WAIT_S)
            yield from fleet


def test_a_device_moves_with_its_board_and_its_mirror_says_where(usb, device):
    view = attach(device.name)
    assert view.link.port == device.port == str(usb.folder / "ttyACM0")
    device.set("neuron_count", 7)
    usb.unplug("ttyACM0")
    usb.plug("ttyACM5", "A1")
    deadline = time.monotonic() + WAIT_S
    while view.stale or view.link.port.endswith("ttyACM0"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert os.path.samefile(device.port, usb.folder / "ttyACM5") and view.link.port == device.port
    assert device.set("neuron_count", 8) == 8
