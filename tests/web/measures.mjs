// What things cost inside of a page that is cross-origin isolated, for run_bench.mjs.
import { attach, open, openStore } from "../../host/web/index.js";

function median(numbers) {
    return numbers.sort((a, b) => a - b)[numbers.length >> 1];
}

async function medianOf(times, action) {
    const took = [];
    for (let n = 0; n < times; n++) {
        const begun = performance.now();
        await action();
        took.push(performance.now() - begun);
    }
    return median(took);
}

// The least of some rounds [ns].
function each(loops, action) {
    const rounds = Array.from({ length: 7 }, () => {
        const begun = performance.now();
        action(loops);
        return ((performance.now() - begun) * 1e6) / loops;
    });
    return Math.min(...rounds);
}

/** name -> number, with the unit at the name's end. */
export async function measure(loops) {
    const numbers = {};
    let sum = 0;
    let last = 0n;
    for (const threaded of [false, true]) {
        const kind = threaded ? "web.threaded" : "web.single";
        numbers[`${kind}.first_open_ms`] = await medianOf(1, () => open({ threaded }));
        numbers[`${kind}.open_ms`] = await medianOf(9, () => open({ threaded }));
        const region = await open({ threaded });
        numbers[`${kind}.read_u32_ns`] = each(loops, (count) => {
            for (let n = 0; n < count; n++) {
                sum += region.neuron_count;
            }
        });
        numbers[`${kind}.read_u64_ns`] = each(loops, (count) => {
            for (let n = 0; n < count; n++) {
                last = region.version;
            }
        });
        numbers[`${kind}.write_u32_ns`] = each(loops, (count) => {
            for (let n = 0; n < count; n++) {
                region.neuron_count = n;
            }
        });
        numbers[`${kind}.push_pop_ns`] = each(loops, (count) => {
            for (let n = 0; n < count; n++) {
                region.push(256, n);
                region.pop();
            }
        });
        numbers[`${kind}.snapshot_us`] = (await medianOf(50, () => region.snapshot())) * 1000;
        if (threaded) {
            numbers[`${kind}.attach_ms`] = await medianOf(9, () => attach(region.handle()));
        }
    }
    const store = await openStore("measured");
    const snapshot = (await open()).snapshot();
    numbers["web.save_ms"] = await medianOf(20, () => store.save(snapshot));
    store.close();
    return sum >= 0 && last >= 0n ? numbers : {};
}
