/** The steps of `.ci/run` and `.ci/full`, in their order. */

/** A task of `deno.json` that must succeed. */
export interface Step {
  readonly name: string;
  readonly task: readonly string[];
  /** Set if only one of the scripts runs the step. */
  readonly only?: "run" | "full";
  /** Whether `.ci/run` runs it only if certain paths have changed; see `GROUPS`. */
  readonly isByPath?: boolean;
  /** Whether the task writes a report of its counts. */
  readonly hasReport?: boolean;
  /** Whether the next step starts without waiting for this one. */
  readonly isParallel?: boolean;
}

export const STEPS: readonly Step[] = [
  { name: "gate", task: ["gate"] },
  { name: "Debian packages", task: ["debian-packages"] },
  { name: "test", task: ["test", "--timings"], only: "run", hasReport: true },
  { name: "test", task: ["test", "--full", "--timings"], only: "full", hasReport: true },
  { name: "file", task: ["file", "--timings"], only: "run", hasReport: true },
  { name: "file", task: ["file", "--full", "--timings"], only: "full", hasReport: true },
  { name: "peers", task: ["peers"] },
  { name: "fuzz", task: ["fuzz", "--inputs", "1000"], only: "run", isParallel: true },
  { name: "fuzz", task: ["fuzz", "--inputs", "5000"], only: "full", isParallel: true },
  { name: "packages", task: ["packages"], isByPath: true, hasReport: true },
  { name: "interop", task: ["interop", "--binary", "--changed", "--timings"], only: "run", hasReport: true },
  { name: "interop", task: ["interop", "--binary", "--full", "--timings"], only: "full", hasReport: true },
  { name: "times", task: ["times"], only: "full", hasReport: true },
  { name: "programs", task: ["programs"], only: "full", hasReport: true },
  { name: "overload", task: ["overload", "--binary", "--scale", "0.05", "--seconds", "1"], isByPath: true },
  { name: "torture", task: ["torture", "--binary"], only: "full" },
  {
    name: "torture on etcd",
    task: ["torture", "--servers", "3", "--nodes", "200", "--seconds", "40", "--seed", "8", "--binary"],
    isByPath: true,
  },
  {
    name: "power loss",
    task: ["torture", "--power-loss", "--states", "60", "--starts", "2"],
    only: "run",
    isByPath: true,
  },
  { name: "power loss", task: ["torture", "--power-loss"], only: "full" },
  { name: "torture under faults", task: ["torture", "--faults", "all"], only: "full" },
  // Planted bugs need a server that lives long enough to show them, so no other step runs in parallel.
  { name: "planted bugs", task: ["torture", "--plant", "write-behind,precondition-ignored"], only: "run" },
  { name: "planted bugs", task: ["torture", "--plant", "all"], only: "full" },
];
