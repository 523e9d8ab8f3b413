/** Measures certificates over persistent HTTP connections, compared with `cfssl serve`. */
import { writeFile } from "node:fs/promises";
import { peerPath } from "../../support/peers/go.ts";
import { start } from "../../support/child.ts";
import { formatKubeconfig } from "../../support/interop/kubectl.ts";
import { createTempFolder, findServerPort } from "../../support/temp.ts";
import { AIMS } from "../aims.ts";
import { signWithCfssl, storm } from "../load.ts";
import { startOurInstance } from "../our_instance.ts";
import { mustEnd } from "../program.ts";
import type { Line, Reading, Readings, Scenario } from "../scenario.ts";
import { type BenchInstance, measureReading } from "../instance.ts";

type Key = "one" | "four";

const CLIENTS: Readonly<Record<Key, number>> = { one: 1, four: 4 };

/** Creates the scenario; each number of clients requests `certificates` in all. */
export function httpSigningScenario(certificates: number): Scenario<Key> {
  const line = (what: string): Line => ({ what, unit: "/s", peer: "cfssl serve", aim: AIMS.certificates });
  return {
    lines: { one: line("certificates over HTTP, 1 client"), four: line("certificates over HTTP, 4 clients") },
    ours: async (program) => await readBoth(await startOurInstance(program), measureNodeRate(certificates)),
    theirs: async () =>
      await readBoth(await startCfssl(), async (instance, clients) => {
        const { seconds, retries } = await signWithCfssl(instance.bootstrapKubeconfigs, certificates, clients);
        return { value: certificates / seconds, retries };
      }),
  };
}

type MeasureRate = (instance: BenchInstance, clients: number) => Promise<Pick<Reading, "value" | "retries">>;

/** Measures nodes that bootstrap one after another over persistent connections. */
function measureNodeRate(certificates: number): MeasureRate {
  return async (instance, clients) => {
    const prefix = `signed-${clients}`;
    const { seconds, retries } = await storm(instance.bootstrapKubeconfigs, certificates, { clients, prefix });
    return { value: certificates / seconds, retries };
  };
}

/** Measures both numbers of clients, then ends the instance. */
async function readBoth(started: BenchInstance, measureRate: MeasureRate): Promise<Readings<Key>> {
  await using instance = started;
  const read = (key: Key): Promise<Reading> => measureReading(instance, () => measureRate(instance, CLIENTS[key]));
  // Measure one after another, because together they would share the cores.
  const one = await read("one");
  return { one, four: await read("four") };
}

/** Starts `cfssl serve` with plain HTTP, its default, and a P-256 CA from openssl. */
async function startCfssl(): Promise<BenchInstance> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTempFolder());
  const [key, certificate, config] = [folder.join("ca.key"), folder.join("ca.crt"), folder.join("config.json")];
  await mustEnd("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"],
    ...["-keyout", key, "-out", certificate, "-subj", "/CN=cfssl"],
  ]);
  const profile = { usages: ["digital signature", "client auth"], expiry: "8760h" };
  await writeFile(config, JSON.stringify({ signing: { default: profile } }));
  const port = await findServerPort();
  const running = stack.use(start(peerPath("cfssl"), [
    ...["serve", "-address=127.0.0.1", `-port=${port}`, "-loglevel=1"],
    ...[`-ca=${certificate}`, `-ca-key=${key}`, `-config=${config}`],
  ]));
  await running.waitFor(/Now listening/);
  const kubeconfig = folder.join("kubeconfig");
  await writeFile(kubeconfig, formatKubeconfig({ server: `http://127.0.0.1:${port}` }, {}));
  const owned = stack.move();
  return {
    folder,
    bootstrapKubeconfigs: [kubeconfig],
    adminKubeconfigs: [kubeconfig],
    pids: [running.pid],
    etcdPids: [],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
