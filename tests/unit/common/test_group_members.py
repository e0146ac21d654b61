"""Replicas that share work are told apart by their hosts: each container has a name of its own."""

import socket

from services.signal_generator.settings import Settings


def test_a_replica_is_known_by_its_host_and_so_by_the_same_name_after_a_restart():
    assert Settings().group_member == socket.gethostname()
    assert Settings(group_member="2").group_member == "2"
