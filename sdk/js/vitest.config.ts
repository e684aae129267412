import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "node",
    include: ["test/**/*.test.ts"],
    // One worker: the suite takes seconds, and the machine is shared with the C++ build.
    pool: "threads",
    poolOptions: { threads: { singleThread: true } },
    unstubGlobals: true,
    // Seeded schedules take seconds on a machine that builds at the same time.
    testTimeout: 60_000,
  },
});
