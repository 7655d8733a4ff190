// What a program in TypeScript may write, and what not: tsc compiles it, nothing runs it.
import { AgentType, attach, BurstEngineState, connect, open, openStore, threads, webSocketPort, type Port, type Region } from "feagi-state";
import { install, type MicroPython } from "feagi-state/micropython";

export async function uses(): Promise<void> {
    const region: Region = await open({ threaded: threads().available, profile: "tiny" });
    region.burst_engine_state = BurstEngineState.RUNNING;
    const hash: bigint = region.hashes.morphologies;
    region.genome_timestamp = hash;
    const count: number = region.add("neuron_count", 5);
    const stamp: bigint = region.subtract("genome_timestamp", 5n);
    const handle: number = region.agents.register("cam", AgentType.MOTOR);
    region.agents.heartbeat(handle);
    for (const [area, owner] of region.cortical_locks) {
        region.cortical_locks.takeOver(area, owner, 0);
    }
    for (const { kind, arg } of region.drain()) {
        region.push(kind, arg + count + Number(stamp));
    }
    (await attach(region.handle())).waitSync({ timeout: 5 });
    const store = await openStore("x");
    await store.save(region.snapshot());
    region.restore((await store.load()) ?? new Uint8Array());

    const port = await (navigator as unknown as { serial: { requestPort(): Promise<Port> } }).serial.requestPort();
    const link = await connect(port, { state: (state) => state === "LIVE" });
    const frequency: number = await link.set("burst_frequency", 5.5);
    await link.mirror?.changed({ timeout: frequency });

    const served = webSocketPort(new URL("/boards/board", "http://localhost"), { WebSocket });
    served.addEventListener("disconnect", () => served.closed?.reason.trim());
    await link.use(served, { baudRate: 115200 });
    install({} as MicroPython, region);
    link.hasPort || (await link.use(port));

    // @ts-expect-error: kept by the registry
    region.agent_count = 1;
    // @ts-expect-error: a bigint
    region.hashes.morphologies = 1;
    // @ts-expect-error: no counter
    region.add("burst_frequency", 1);
    // @ts-expect-error: no such profile
    await open({ profile: "large" });
}
