/** A machine, a USB stick and a CA in memory, for the tests of `client/offline_bootstrap.ts`. */
import assert from "node:assert/strict";
import type { FilePort } from "../../client/files.ts";
import { bootstrapOffline, type OfflineBootstrapOutcome } from "../../client/offline_bootstrap.ts";
import { createConnector } from "../../client/transport/connect.ts";
import { parseCertificateChain } from "../../core/machine/credential_pair.ts";
import { parseNodeName } from "../../core/machine/node_name.ts";
import { encodeAnswers, readRequests } from "../../core/offline/bundle.ts";
import { createFakeClock, type FakeClock } from "./fake_clock.ts";
import { createIssuingCa } from "./issuing_ca.ts";
import { createMemoryFiles, type MemoryFiles } from "./memory_files.ts";
import { createMemoryLogger } from "./memory_logger.ts";

export const REQUEST = "/stick/n1.request.pem";
const ANSWER = "/stick/n1.answer.pem";

interface OfflineMachine {
  readonly files: MemoryFiles;
  readonly clock: FakeClock;
  run(files?: FilePort): Promise<OfflineBootstrapOutcome>;
  /** Answers the request on the stick. */
  sign(): Promise<void>;
}

export async function createOfflineMachine(): Promise<OfflineMachine> {
  // TLS stacks use the machine's time, so certificates are valid around it.
  const now = new Date(Math.floor(Date.now() / 1000) * 1000);
  const clock = createFakeClock(now);
  const ca = await createIssuingCa(now);
  const nodeName = parseNodeName("n1");
  assert.ok(nodeName.ok);
  const files = createMemoryFiles();
  files.entries.set("/stick", { kind: "directory", mode: 0o755 });
  return {
    files,
    clock,
    run: (port = files) =>
      bootstrapOffline({
        folder: "/stick",
        kubeconfigPath: "/node/kubeconfig",
        certDir: "/node/pki",
        nodeName: nodeName.value,
        site: [],
        server: undefined,
        renewBeforeMs: undefined,
        files: port,
        clock,
        logger: createMemoryLogger(),
        connect: createConnector({ files: port, clock, userAgent: "test" }),
      }),
    async sign() {
      const bundle = readRequests(files.text(REQUEST) ?? "");
      assert.ok(bundle.ok);
      const [request] = bundle.value.requests;
      assert.ok(request !== undefined);
      const { publicKeyDer, subject } = request.facts;
      const chain = parseCertificateChain(
        await ca.issue({
          publicKeyDer,
          subject,
          notBefore: clock.now(),
          notAfter: new Date(clock.now().getTime() + 86_400_000),
        }),
      );
      assert.ok(chain.ok);
      const site = { serverCas: [ca.authority.certificate], server: "https://10.0.0.1:6443" };
      const answers = [{ request, outcome: { kind: "issued" as const, chain: chain.value } }];
      files.entries.set(ANSWER, {
        kind: "file",
        mode: 0o644,
        text: await encodeAnswers(bundle.value, answers, site, [ca.authority], clock.now()),
      });
    },
  };
}
