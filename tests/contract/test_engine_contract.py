"""What every container engine behind the port does: the fake one that all other tests rest on, and the real one."""

from __future__ import annotations

from datetime import UTC
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.contract.benches import NOBODY, TRAP, TRAPPED, Bench, eventually, failure, said
from tests.fakes.programs import Program, Reaction, ends
from vkprovider.errors import EngineConflict, EngineError, EngineNotFound, EngineUnavailable
from vkprovider.model.create import Limits, Mount
from vkprovider.model.observed import Glance, Run

# --- the engine and its pods ------------------------------------------------------------------------------------


async def test_info_tells_the_runtime_facts(bench: Bench):
    info = await bench.engine.info()
    assert info.os == "linux"
    assert info.version
    assert tuple(int(part) for part in info.api_version.split(".")) >= (1, 41)
    assert info.architecture
    assert info.kernel
    assert info.operating_system
    assert info.cpus > 0
    assert info.memory > 1 << 20


async def test_pods_are_those_with_containers_dead_or_alive(bench: Bench):
    assert await bench.engine.pods() == {}
    created = await bench.create("never-started")
    assert (await bench.engine.pods()).keys() == {bench.uid}
    await bench.engine.remove(created)
    assert await bench.engine.pods() == {}


async def test_a_list_shows_what_happens_and_nothing_else(bench: Bench):
    async def glance() -> Glance:
        return (await bench.engine.pods())[bench.uid]

    container_id = await bench.create()
    created = await glance()
    assert not created.fresh
    await bench.engine.start(container_id)
    started = await glance()
    assert await glance() == started
    await bench.engine.signal(container_id, "KILL")
    await bench.ended(container_id)
    ended = await glance()
    sandbox = await bench.run_sandbox()
    joined = await glance()
    assert joined.shown > ended.shown
    await bench.engine.remove(sandbox)
    assert await glance() == ended
    assert len({created.shown, started.shown, ended.shown}) == 3
    assert started.fresh
    assert ended.fresh


async def test_another_nodes_pods_are_not_seen(bench: Bench):
    other = bench.another_node()
    await bench.run()
    assert await other.engine.pods() == {}
    assert (await other.engine.observe(bench.uid)).containers == ()
    await other.engine.close()


async def test_what_runs_is_listed_and_whose_it_is(bench: Bench):
    sandbox, app = await bench.run_sandbox(), await bench.run(attempt=1)
    await bench.create("never-started")
    found = {each.id: each for each in await bench.engine.running()}
    assert set(found) == {sandbox, app}
    assert [found[sandbox].is_sandbox, found[app].is_sandbox] == [True, False]
    identity = found[app].identity
    assert (identity.pod_uid, identity.name, identity.attempt) == (bench.uid, "app", 1)
    assert found[app].image == bench.image
    assert found[app].created_at.tzinfo is UTC
    await bench.engine.signal(app, "KILL")
    await bench.ended(app)
    assert [each.id for each in await bench.engine.running()] == [sandbox]


async def test_a_closed_engine_is_unavailable(bench: Bench):
    other = bench.another_node()
    await other.engine.close()
    with pytest.raises(EngineUnavailable):
        await other.engine.pods()


# --- create -----------------------------------------------------------------------------------------------------


async def test_create_gives_a_container_that_shows_what_its_labels_say(bench: Bench):
    labels = {"sandbox_id": NOBODY, "backoff_seconds": 40, "hash": "abc", "image": "as/written"}
    container_id = await bench.create("app", attempt=2, labels=labels)
    state = await bench.see(container_id)
    assert state is not None
    assert (state.run, state.name, state.attempt) == (Run.CREATED, "app", 2)
    assert (state.sandbox_id, state.backoff_seconds, state.spec_hash) == (NOBODY, 40, "abc")
    assert state.image == "as/written"
    found = await bench.engine.image(bench.image)
    assert found is not None
    assert state.image_id == found.id
    assert state.created_at.tzinfo is UTC
    assert (state.started_at, state.finished_at, state.exit_code, state.start_error) == (None, None, 0, "")
    assert not state.alive


async def test_create_again_gives_the_same_container(bench: Bench):
    first = await bench.create()
    assert await bench.create() == first
    await bench.engine.start(first)
    assert await bench.create() == first
    assert len((await bench.engine.observe(bench.uid)).containers) == 1


async def test_what_has_run_is_adopted_but_never_run_twice(bench: Bench):
    container_id = await bench.run("app", "exit 4", ends(4))
    before = await bench.ended(container_id)
    assert await bench.create("app", "exit 4", ends(4)) == container_id
    await bench.engine.start(container_id)
    assert await bench.see(container_id) == before


async def test_create_does_not_take_over_what_is_anothers(bench: Bench):
    await bench.create("theirs", labels={"pod_uid": "another-pod"}, name=f"vkprovider-contract-{bench.uid}")
    with pytest.raises(EngineConflict, match="already in use"):
        await bench.create("ours", name=f"vkprovider-contract-{bench.uid}")


async def test_create_without_the_image(bench: Bench):
    with pytest.raises(EngineNotFound, match="No such image"):
        await bench.create(image="no-such/image:1")


async def test_create_takes_an_image_by_its_id(bench: Bench):
    found = await bench.engine.image(bench.image)
    assert found is not None
    state = await bench.see(await bench.create(image=found.id))
    assert state is not None
    assert state.image_id == found.id


# --- start ------------------------------------------------------------------------------------------------------


async def test_start_runs_it_once(bench: Bench):
    container_id = await bench.run()
    before = await bench.see(container_id)
    assert before is not None
    assert before.run is Run.RUNNING
    assert before.alive
    assert before.started_at is not None
    assert before.started_at.tzinfo is UTC
    assert before.finished_at is None
    await bench.engine.start(container_id)
    assert await bench.see(container_id) == before


async def test_start_of_nothing(bench: Bench):
    with pytest.raises(EngineNotFound):
        await bench.engine.start(NOBODY)


async def test_a_command_that_does_not_exist_shows_as_exited_128(bench: Bench):
    missing = Program(start_error='exec: "/no/such/command": stat /no/such/command: no such file or directory')
    container_id = await bench.create("app", program=missing, entrypoint=("/no/such/command",))
    with pytest.raises(EngineError, match="/no/such/command") as raised:
        await bench.engine.start(container_id)
    assert not isinstance(raised.value, EngineNotFound | EngineConflict | EngineUnavailable)
    state = await bench.see(container_id)
    assert state is not None
    assert (state.run, state.exit_code, state.started_at) == (Run.EXITED, 128, None)
    assert "/no/such/command" in state.start_error
    assert not state.alive


# --- sandboxes --------------------------------------------------------------------------------------------------


async def test_a_sandbox_is_ready_while_it_runs_and_has_an_address(bench: Bench):
    sandbox_id = await bench.create("POD")

    async def newest():
        return (await bench.engine.observe(bench.uid)).sandboxes[0]

    created = await newest()
    assert (created.id, created.attempt, created.ready, created.ips) == (sandbox_id, 0, False, ())
    await bench.engine.start(sandbox_id)
    running = await newest()
    assert running.ready
    assert [ip_address(ip).version for ip in running.ips] in ([4], [4, 6])
    assert await bench.engine.signal(sandbox_id, "KILL")

    async def is_down():
        return not (await newest()).ready

    await eventually(is_down)


async def test_a_sandbox_on_the_hosts_network_is_ready_without_an_address(bench: Bench):
    await bench.run_sandbox(network="host")
    (sandbox,) = (await bench.engine.observe(bench.uid)).sandboxes
    assert (sandbox.ready, sandbox.ips) == (True, ())


async def test_a_sandbox_shows_its_runtime(bench: Bench):
    runtimes = (await bench.engine.info()).runtimes
    assert "runc" in runtimes
    for attempt, runtime in enumerate(("", *runtimes)):
        await bench.create("POD", attempt=attempt, runtime=runtime)
    shown = [sandbox.runtime for sandbox in (await bench.engine.observe(bench.uid)).sandboxes][::-1]
    assert shown == ["runc", *runtimes]


async def test_joining_a_sandbox_that_is_gone(bench: Bench):
    sandbox_id = await bench.run_sandbox()
    container_id = await bench.create(network=f"container:{sandbox_id}")
    await bench.engine.remove(sandbox_id)
    with pytest.raises(EngineError):  # engines from 28 on do not say more
        await bench.engine.start(container_id)
    state = await bench.see(container_id)
    assert state is not None
    assert (state.run, state.exit_code) == (Run.EXITED, 128)
    assert sandbox_id in state.start_error


async def test_joining_a_sandbox_that_is_dead(bench: Bench):
    sandbox_id = await bench.run_sandbox()
    await bench.engine.signal(sandbox_id, "KILL")

    async def is_down():
        return not (await bench.engine.observe(bench.uid)).sandboxes[0].ready

    await eventually(is_down)
    container_id = await bench.create(network=f"container:{sandbox_id}")
    with pytest.raises(EngineConflict, match="non running container"):
        await bench.engine.start(container_id)
    state = await bench.see(container_id)
    assert state is not None
    assert (state.run, state.exit_code) == (Run.EXITED, 128)


async def test_a_container_outlives_its_sandbox(bench: Bench):
    sandbox_id = await bench.run_sandbox()
    container_id = await bench.run(network=f"container:{sandbox_id}")
    await bench.engine.remove(sandbox_id)
    observed = await bench.engine.observe(bench.uid)
    assert observed.sandboxes == ()
    state = observed.by_id(container_id)
    assert state is not None
    assert state.run is Run.RUNNING


async def test_instances_are_shown_newest_first(bench: Bench):
    made = [await bench.create("app", attempt=attempt) for attempt in (0, 1, 2)]
    sandboxes = [await bench.create("POD", attempt=attempt) for attempt in (0, 1)]
    other = await bench.create("other")
    observed = await bench.engine.observe(bench.uid)
    assert [c.id for c in observed.instances("app")] == made[::-1]
    assert [s.id for s in observed.sandboxes] == sandboxes[::-1]
    newest = observed.newest("other")
    assert newest is not None
    assert newest.id == other


# --- ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 3, 255])
async def test_an_end_by_itself(bench: Bench, code: int):
    state = await bench.ended(await bench.run("app", f"exit {code}", ends(code)))
    assert (state.exit_code, state.oom_killed, state.start_error) == (code, False, "")
    assert state.started_at is not None
    assert state.finished_at is not None
    assert state.created_at <= state.started_at <= state.finished_at
    assert state.finished_at.tzinfo is UTC


async def test_an_end_by_kill(bench: Bench):
    container_id = await bench.run()
    assert await bench.engine.signal(container_id, "KILL")
    state = await bench.ended(container_id)
    assert (state.exit_code, state.oom_killed) == (137, False)


async def test_an_end_by_the_kernel_for_lack_of_memory(bench: Bench):
    limits = Limits(memory=16 << 20)
    container_id = await bench.run("app", "tail /dev/zero", Program(runs=0, code=137, oom=True), limits=limits)
    state = await bench.ended(container_id)
    assert (state.exit_code, state.oom_killed) == (137, True)


async def test_an_end_by_term(bench: Bench):
    container_id = await bench.run("app", TRAP, TRAPPED)
    await said(bench, container_id)
    assert await bench.engine.signal(container_id, "TERM")
    assert (await bench.ended(container_id)).exit_code == 3


async def test_term_means_nothing_to_a_first_process_without_a_handler(bench: Bench):
    container_id = await bench.run()
    assert await bench.engine.signal(container_id, "SIGTERM")
    assert await bench.engine.signal(container_id, "TERM")
    state = await bench.see(container_id)
    assert state is not None
    assert state.run is Run.RUNNING


@pytest.mark.parametrize("whose", ["image", "container"])
async def test_the_empty_signal_is_the_one_the_image_or_the_container_wants(bench: Bench, whose: str):
    script = "trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done"
    program = Program(reactions={"USR1": Reaction(code=7)}, output=(("stdout", "ready"),))
    wanted = {"image": bench.usr1_image} if whose == "image" else {"stop_signal": "SIGUSR1"}
    container_id = await bench.run("app", script, program, **wanted)
    await said(bench, container_id)
    state = await bench.see(container_id)
    assert state is not None
    assert state.stop_signal.removeprefix("SIG") == "USR1"
    assert await bench.engine.signal(container_id, "")
    assert (await bench.ended(container_id)).exit_code == 7


async def test_the_empty_signal_is_term_where_the_image_wants_none(bench: Bench):
    container_id = await bench.run("app", TRAP, TRAPPED)
    await said(bench, container_id)
    assert await bench.engine.signal(container_id, "")
    assert (await bench.ended(container_id)).exit_code == 3


@pytest.mark.parametrize("signal", ["", "TERM", "KILL"])
async def test_a_signal_to_nobody(bench: Bench, signal: str):
    dead = await bench.run("app", "exit 0", ends(0))
    await bench.ended(dead)
    created = await bench.create("created")
    for container_id in (dead, created, NOBODY):
        assert await bench.engine.signal(container_id, signal) is False


async def test_remove_is_for_anything_and_done_once(bench: Bench):
    running = await bench.run("running")
    dead = await bench.run("dead", "exit 0", ends(0))
    await bench.ended(dead)
    created = await bench.create("created")
    for container_id in (running, dead, created):
        await bench.engine.remove(container_id)
    assert (await bench.engine.observe(bench.uid)).containers == ()
    for container_id in (running, dead, created, NOBODY):
        await bench.engine.remove(container_id)


async def test_a_name_is_free_again_after_remove(bench: Bench):
    first = await bench.run()
    await bench.engine.remove(first)
    assert await bench.create() != first


# --- volumes and tools ------------------------------------------------------------------------------------------


async def test_volumes_by_their_labels(bench: Bench):
    labels = {"test.pod": bench.uid}
    mine, other = f"vkprovider-{bench.uid}-mine", f"vkprovider-{bench.uid}-other"
    await bench.engine.create_volume(mine, labels, {})
    await bench.engine.create_volume(mine, labels, {})
    await bench.engine.create_volume(other, {"test.pod": "another"}, {})
    mount = Mount(source=mine, target="/data", volume=True)
    container_id = await bench.run("app", "exit 0", ends(0), mounts=(mount,))
    await bench.ended(container_id)
    with pytest.raises(EngineConflict, match="in use"):
        await bench.engine.remove_volumes(labels)
    await bench.engine.remove(container_id)
    await bench.engine.remove_volumes(labels)
    await bench.engine.remove_volumes(labels)
    await bench.engine.remove_volumes({"test.pod": "another"})


async def test_where_a_volume_lies(bench: Bench):
    await bench.engine.create_volume(f"vkprovider-{bench.uid}", {}, {})
    assert (await bench.engine.volume_directory(f"vkprovider-{bench.uid}")).startswith("/")
    with pytest.raises(EngineNotFound):
        await bench.engine.volume_directory(f"vkprovider-{bench.uid}-nothing")


async def test_a_tool_does_its_work_and_is_gone(bench: Bench, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    await bench.engine.run_tool(["chmod", "640", str(tmp_path / "file")], str(tmp_path))
    assert await bench.engine.pods() == {}


async def test_a_tool_that_fails_says_why(bench: Bench, tmp_path: Path):
    bench.let_tools_fail()
    with pytest.raises(EngineError) as raised:
        await bench.engine.run_tool(["chmod", "640", str(tmp_path / "nothing")], str(tmp_path))
    assert "no such file or directory" in failure(raised.value)
