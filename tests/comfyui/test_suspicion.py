from __future__ import annotations

from autopod_nb.comfyui.suspicion import Suspicion


def test_it_is_right_when_nothing_was_told_for_the_while() -> None:
    suspicion = Suspicion(2.0)
    assert not suspicion.is_right(0.0, 5)
    suspicion.rouse(10.0, 5)
    suspicion.rouse(11.0, 5)  # it goes by the first reason
    assert not suspicion.is_right(11.9, 5)
    assert suspicion.is_right(12.0, 5)
    assert not suspicion.is_right(99.0, 5), "it is told once"


def test_one_message_is_enough_against_it() -> None:
    suspicion = Suspicion(2.0)
    suspicion.rouse(10.0, 5)
    assert not suspicion.is_right(12.0, 6)
    assert not suspicion.is_right(13.0, 6)


def test_another_socket_is_none_of_its_business() -> None:
    suspicion = Suspicion(2.0)
    suspicion.rouse(10.0, 5)
    suspicion.drop()
    assert not suspicion.is_right(20.0, 5)
