from tests.support.except_blocks import Block, blocks_of, complaints, never_run

SOURCE = """\
class Reader:
    async def read(self):
        try:
            return await self.ask()
        except (OSError, TimeoutError) as error:
            raise RetryableError(
                "an answer"
            ) from error
        except ValueError:
            pass


try:
    import fast
except ImportError:
    fast = None
"""


def test_a_block_is_known_by_its_function_and_by_what_it_catches():
    assert [str(block) for block in blocks_of("a.py", SOURCE)] == [
        "a.py Reader.read: except (OSError, TimeoutError)",
        "a.py Reader.read: except ValueError",
        "a.py module: except ImportError",
    ]


def test_a_block_has_run_where_a_line_of_what_it_does_has():
    assert _never_run({8, 10, 16}) == []  # any line of a statement counts for it
    assert _never_run({5, 9, 15}) == [5, 9, 15]  # looking at what was raised is not yet handling it
    assert _never_run({6, 16}) == [9]


def test_groups_are_handled_by_blocks_too():
    (block,) = blocks_of("a.py", "try:\n    work()\nexcept* OSError:\n    handle()\n")

    assert (block.caught, block.lines) == ("OSError", range(4, 5))


def test_an_excuse_counts_only_for_a_block_that_is_there():
    blocks = list(blocks_of("a.py", SOURCE))
    excuses = {"a.py module: except ImportError": "built with it", "a.py gone: except OSError": "it was there"}

    said = complaints(blocks, lambda _: {6}, unreached=excuses)

    assert said == [
        "a.py:9 Reader.read: except ValueError",
        "a.py gone: except OSError: there is no such block; take it out of UNREACHED",
    ]


def _never_run(ran: set[int]) -> list[int]:
    blocks: list[Block] = never_run(blocks_of("a.py", SOURCE), lambda _: ran)
    return [block.line for block in blocks]
