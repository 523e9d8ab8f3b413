/** Measures the list of a large register of issued certificates, page by page. */
import { cp } from "node:fs/promises";
import { createFilePort } from "../../../client/files.ts";
import { createConnector, readCluster } from "../../../client/transport/connect.ts";
import type { TlsTransport } from "../../../client/transport/tls_transport.ts";
import { createSystemClock } from "../../../cli/system.ts";
import { storedForm } from "../../../core/kube/wire/stored_form.ts";
import { issuedCertificateKind } from "../../../core/kube/kinds/mod.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { IssuedCertificate, IssuedCertificateSpec } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Transport } from "../../../core/ports.ts";
import { createRecord, formatRecordName, hashRecord } from "../../../core/register/record.ts";
import { openSqliteStorage } from "../../../server/storage/sqlite/sqlite_storage.ts";
import type { Write } from "../../../server/storage/storage.ts";
import { AIMS } from "../aims.ts";
import { type BenchInstance, measureReading } from "../instance.ts";
import { startOurInstance } from "../our_instance.ts";
import type { Program } from "../program.ts";
import type { Readings, Scenario } from "../scenario.ts";
import { findMedian } from "../stats.ts";

const PATH = "/apis/tlsboot/v1alpha1/issuedcertificates";
const PREFIX = "/registry/tlsboot/issuedcertificates/";
const PAGE_LIMIT = 500;
const FIRST_PAGES = 5;
/** The number of records per commit while a register is filled. */
const BATCH = 500;
const FEW_RECORDS = 1_000;

/** Creates the scenario. The peer is the same program with a small register, whose pages should cost the same. */
export function recordsScenario(records: number): Scenario<"first" | "all"> {
  const peer = `${FEW_RECORDS} records`;
  return {
    lines: {
      first: {
        what: `first page of ${records} records, ${PAGE_LIMIT} each`,
        unit: "ms",
        peer,
        aim: AIMS.firstPageOfRecords,
      },
      all: {
        what: `1000 of ${records} records in pages of ${PAGE_LIMIT}`,
        unit: "ms",
        peer,
      },
    },
    ours: (program) => readRecords(program, records),
    theirs: (program) => readRecords(program, FEW_RECORDS),
  };
}

async function readRecords(program: Program, records: number): Promise<Readings<"first" | "all">> {
  await using instance = await startOurInstance(program, [], (data) => prepareRegister(program, data, records));
  await using transport = await openTransport(instance);
  // The first answer of a connection includes the handshake.
  await readPage(transport, `${PATH}?limit=1`);
  return { first: await readFirstPages(instance, transport), all: await readAllPages(instance, transport, records) };
}

async function readFirstPages(instance: BenchInstance, transport: Transport) {
  return await measureReading(instance, async () => {
    const pages: Page[] = [];
    while (pages.length < FIRST_PAGES) pages.push(await readPage(transport, `${PATH}?limit=${PAGE_LIMIT}`));
    return { value: findMedian(pages.map(({ ms }) => ms)), bytes: pages[0]!.bytes };
  });
}

async function readAllPages(instance: BenchInstance, transport: Transport, records: number) {
  return await measureReading(instance, async () => {
    let [ms, bytes, count] = [0, 0, 0];
    for (let next: string | undefined = ""; next !== undefined;) {
      const page: Page = await readPage(transport, `${PATH}?limit=${PAGE_LIMIT}&continue=${encodeURIComponent(next)}`);
      ms += page.ms;
      bytes += page.bytes;
      count += page.count;
      next = page.next;
    }
    if (count < records) throw new Error(`the pages hold ${count} records, not ${records}`);
    return { value: ms * 1000 / count, bytes: bytes * 1000 / count };
  });
}

/** Connects to an instance as administrator. */
export async function openTransport({ adminKubeconfigs: [path = ""] }: BenchInstance): Promise<TlsTransport> {
  const files = createFilePort();
  const connect = createConnector({ files, clock: createSystemClock(), userAgent: "tlsboot-bench" });
  return await connect(await readCluster(path, files));
}

/** A page of a list, with its time and size. */
export interface Page {
  readonly ms: number;
  readonly bytes: number;
  readonly count: number;
  readonly next: string | undefined;
}

/** Reads a page. The measured time excludes parsing. */
export async function readPage(transport: Transport, path: string): Promise<Page> {
  const startedMs = performance.now();
  const headers = { accept: "application/json" };
  const answer = await transport.send({ method: "GET", path, headers }, AbortSignal.timeout(60_000));
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.length;
    text += decoder.decode(chunk, { stream: true });
  }
  const ms = performance.now() - startedMs;
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
  const { items, metadata } = JSON.parse(text) as {
    readonly items: readonly unknown[];
    readonly metadata: { readonly continue?: string };
  };
  return { ms, bytes, count: items.length, next: metadata.continue };
}

/** Creates a data directory of an instance with its own first records, and appends more records. */
async function prepareRegister(program: Program, data: string, records: number): Promise<void> {
  await using first = await startOurInstance(program);
  await first.stop();
  await cp(first.data, data, { recursive: true });
  await using storage = await openSqliteStorage({ path: `${data}/tlsboot.db`, clock: createSystemClock() });
  const { items } = await storage.list(PREFIX);
  // The server stores one kind below the prefix.
  let last = (items.at(-1)?.object as IssuedCertificate | undefined)?.spec;
  for (let done = items.length; done < records;) {
    const writes: Write[] = [];
    for (; writes.length < BATCH && done < records; done++) {
      last = createNext(last);
      const key = `${PREFIX}${formatRecordName(last.sequence)}`;
      writes.push({ kind: "create", key, object: storedForm(issuedCertificateKind.schema, createObject(last)) });
    }
    await storage.transact(writes);
  }
}

function createObject(spec: IssuedCertificateSpec): IssuedCertificate {
  const uid = `00000000-0000-4000-8000-${formatRecordName(spec.sequence).padStart(12, "0")}`;
  return {
    metadata: { name: formatRecordName(spec.sequence), uid, creationTimestamp: formatTime(new Date()) },
    spec,
    status: {},
  };
}

/** Creates a record as large as that of a node. */
function createNext(previous: IssuedCertificateSpec | undefined): IssuedCertificateSpec {
  const sequence = (previous?.sequence ?? 0) + 1;
  const hex = (digits: number) => sequence.toString(16).padStart(digits, "0");
  const [name, now] = [`node-${sequence}`, new Date()];
  return createRecord({
    serialNumber: hex(32),
    fingerprint: hex(64),
    issuer: "CN=tlsboot-ca",
    issuerFingerprint: hex(64),
    signerName: "kubernetes.io/kube-apiserver-client-kubelet",
    subject: `O=system:nodes,CN=system:node:${name}`,
    usages: ["digital signature", "client auth"],
    publicKeyFingerprint: hex(64),
    notBefore: formatTime(now),
    notAfter: formatTime(new Date(now.getTime() + 365 * 24 * 3_600_000)),
    source: "CertificateSigningRequest",
    request: { name: `node-csr-${hex(43)}`, uid: `00000000-0000-4000-8000-${hex(12)}` },
    requester: {
      username: "system:bootstrap:abcdef",
      groups: ["system:bootstrappers", "system:bootstrappers:tlsboot", "system:authenticated"],
      tokenID: "abcdef",
      address: "192.0.2.1",
      userAgent: "tlsboot/0.1.0 (linux/amd64)",
    },
    approval: {
      username: "system:serviceaccount:kube-system:tlsboot-approver",
      reason: "AutoApproved",
      message: "Auto approving kubelet client certificate after SubjectAccessReview.",
      time: formatTime(now),
    },
  }, {
    sequence,
    ...(previous === undefined ? {} : { previousHash: hashRecord(previous) }),
    issuedAt: now,
  });
}
