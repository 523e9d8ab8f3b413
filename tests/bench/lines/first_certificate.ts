/** Measures the time from an empty folder to the first certificate on disk. */
import { existsSync } from "node:fs";
import { AIMS } from "../aims.ts";
import type { Setup } from "../setup.ts";
import { measureSeconds } from "../measure.ts";
import type { Program } from "../program.ts";
import type { Reading, Scenario } from "../scenario.ts";
import { type BenchInstance, usedBy } from "../instance.ts";

/** Creates the scenario; the nodes of both sides bootstrap with the same program. */
export function firstCertificateScenario(setup: Setup): Scenario<"first"> {
  return {
    lines: {
      first: {
        what: "empty folder to first certificate",
        unit: "s",
        peer: "control plane",
        aim: AIMS.firstCertificate,
      },
    },
    ours: async (program) => ({ first: await firstCertificate(() => setup.ours(program), program) }),
    theirs: async (program) => ({ first: await firstCertificate(() => setup.theirs(), program) }),
  };
}

async function firstCertificate(startInstance: () => Promise<BenchInstance>, client: Program): Promise<Reading> {
  let instance: BenchInstance | undefined;
  try {
    const value = await measureSeconds(async () => {
      instance = await startInstance();
      const { folder, bootstrapKubeconfigs: [bootstrapKubeconfig = ""] } = instance;
      await client.run([
        ...["bootstrap", "--bootstrap-kubeconfig", bootstrapKubeconfig, "--hostname-override", "n1"],
        ...["--kubeconfig", folder.join("n1", "kubeconfig"), "--cert-dir", folder.join("n1", "pki")],
      ]);
      const certificate = folder.join("n1", "pki", "kubelet-client-current.pem");
      if (!existsSync(certificate)) throw new Error(`bootstrap ended well but left no ${certificate}`);
    });
    return { value, ...(instance === undefined ? {} : usedBy(instance)) };
  } finally {
    await instance?.[Symbol.asyncDispose]();
  }
}
