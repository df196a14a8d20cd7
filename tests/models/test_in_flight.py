"""Numbers on their way to the host."""

import torch

from models.in_flight import InFlight


def test_on_a_cpu_they_are_there():
    first, second = InFlight(torch.ones(2), torch.zeros(3, 1)).read()
    assert torch.equal(first, torch.ones(2)) and torch.equal(second, torch.zeros(3, 1))


class OnDevice:
    """A tensor of a device that can be watched."""

    is_cuda = True

    def __init__(self, told):
        self.told = told

    def to(self, place, non_blocking):
        self.told.append(("copy", place, non_blocking))
        return "the copy"


def test_on_a_gpu_the_copy_is_asked_for_at_once_and_waited_for_when_it_is_read(monkeypatch):
    told = []

    class Event:
        def record(self):
            told.append("mark")

        def synchronize(self):
            told.append("wait")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    flight = InFlight(OnDevice(told))
    assert told == [("copy", "cpu", True), "mark"]
    assert flight.read() == ["the copy"] and told[2:] == ["wait"]
