// feagi-state: FEAGI's runtime state in the browser, the same region as on boards and hosts. index.d.ts describes it.
export { threads } from "./src/core.js";
export * from "./src/errors.js";
export { openFrames } from "./src/frames.js";
export { connect } from "./src/link/link.js";
export { webSocketPort } from "./src/link/websocket.js";
export { attach, open } from "./src/open.js";
export {
    AgentType,
    BurstEngineState,
    ConnectomeState,
    CORE_FIELDS,
    EventKind,
    GenomeState,
    PROFILES,
    SCHEMA_HASH,
    ServiceState,
} from "./src/spec.js";
export { openStore } from "./src/store.js";
