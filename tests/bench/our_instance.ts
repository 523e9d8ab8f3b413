/** Starts `tlsboot up --auto-approve` in an empty folder. */
import { waitUntilUp } from "../support/interop/instance.ts";
import { createTempFolder } from "../support/temp.ts";
import type { Program } from "./program.ts";
import type { BenchInstance } from "./instance.ts";

interface OurInstance extends BenchInstance {
  readonly data: string;
  /** Stops the server and waits for its end. */
  stop(): Promise<void>;
}

/**
 * Starts an instance on a free port, with additional flags; resolves once it reports that it is up. `prepare` may first
 * write into the data directory.
 */
export async function startOurInstance(
  program: Program,
  flags: readonly string[] = [],
  prepare: (data: string) => Promise<void> | undefined = () => undefined,
): Promise<OurInstance> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTempFolder());
  const data = folder.join("data");
  await prepare(data);
  const running = stack.use(
    program.start(["up", "--auto-approve", "--secure-port", "0", "--data-dir", data, ...flags]),
  );
  await waitUntilUp(running);
  const owned = stack.move();
  return {
    folder,
    data,
    bootstrapKubeconfigs: [`${data}/bootstrap.kubeconfig`],
    adminKubeconfigs: [`${data}/admin.kubeconfig`],
    pids: [running.pid],
    etcdPids: [],
    async stop() {
      running.kill("SIGTERM");
      await running.finished();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
