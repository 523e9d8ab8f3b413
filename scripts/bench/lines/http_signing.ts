/** Certificates over HTTP with connections that stay open, beside `cfssl serve`. */
import { writeFile } from "node:fs/promises";
import { peerPath } from "../../peers.ts";
import { start } from "../../../tests/support/child.ts";
import { createTempFolder, findFreePort } from "../../../tests/support/temp.ts";
import { signWithCfssl, storm } from "../load.ts";
import { startOurSite } from "../our_site.ts";
import { mustEnd } from "../program.ts";
import { aheadOf, always, type Line, type Reading, type Readings, type Scenario } from "../scenario.ts";
import { readingOf, type Site } from "../site.ts";

type Key = "one" | "four";

const CLIENTS: Readonly<Record<Key, number>> = { one: 1, four: 4 };

/** `certificates` are taken by each number of clients. */
export function httpSigningScenario(certificates: number): Scenario<Key> {
  const line = (what: string): Line => ({ what, unit: "/s", peer: "cfssl serve", aimOf: always(aheadOf("ahead")) });
  return {
    lines: { one: line("certificates over HTTP, 1 client"), four: line("certificates over HTTP, 4 clients") },
    async ours(program) {
      await using site = await startOurSite(program);
      const rateOf = async (clients: number) => {
        const prefix = `signed-${clients}`;
        return certificates / (await storm(site.bootstrapKubeconfig, certificates, { clients, prefix })).seconds;
      };
      return await readBoth(site, rateOf);
    },
    async theirs() {
      await using site = await startCfssl();
      const rateOf = async (clients: number) =>
        certificates / (await signWithCfssl(site.bootstrapKubeconfig, certificates, clients)).seconds;
      return await readBoth(site, rateOf);
    },
  };
}

async function readBoth(site: Site, rateOf: (clients: number) => Promise<number>): Promise<Readings<Key>> {
  const read = (key: Key): Promise<Reading> => readingOf(site, () => rateOf(CLIENTS[key]));
  // One after the other: together they would share the cores.
  const one = await read("one");
  return { one, four: await read("four") };
}

/** Plain HTTP, as it starts by itself, with a P-256 CA by openssl. */
async function startCfssl(): Promise<Site> {
  const folder = await createTempFolder();
  const [key, certificate, config] = [folder.join("ca.key"), folder.join("ca.crt"), folder.join("config.json")];
  await mustEnd("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"],
    ...["-keyout", key, "-out", certificate, "-subj", "/CN=cfssl"],
  ]);
  const profile = { usages: ["digital signature", "client auth"], expiry: "8760h" };
  await writeFile(config, JSON.stringify({ signing: { default: profile } }));
  const port = await findFreePort();
  const running = start(peerPath("cfssl"), [
    ...["serve", "-address=127.0.0.1", `-port=${port}`, "-loglevel=1"],
    ...[`-ca=${certificate}`, `-ca-key=${key}`, `-config=${config}`],
  ]);
  const stop = async (): Promise<void> => {
    await running[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  try {
    await running.waitFor(/Now listening/);
    const kubeconfig = folder.join("kubeconfig");
    await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(`http://127.0.0.1:${port}`)));
    return {
      folder,
      bootstrapKubeconfig: kubeconfig,
      adminKubeconfig: kubeconfig,
      pids: [running.pid],
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The address in the form in which the load program takes it. */
function kubeconfigOf(server: string): unknown {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "cfssl", cluster: { server } }],
    contexts: [{ name: "cfssl", context: { cluster: "cfssl", user: "" } }],
    "current-context": "cfssl",
  };
}
