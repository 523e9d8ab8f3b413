/** Approves the requests of expected machines as they arrive: each machine once, and nothing else. */
import { resolve } from "node:path";
import { createFilePort } from "../../../client/files.ts";
import { createObjectStore } from "../../../client/objects/object_store.ts";
import { type ExpectedMachine, planExpectedMachine } from "../../../core/approval/expected_machines.ts";
import { findRequestedNode } from "../../../core/approval/node_claims.ts";
import { parseRequest } from "../../../core/csr/request.ts";
import { parseInventory } from "../../../core/approval/inventory.ts";
import type { NodeCertificate } from "../../../core/approval/ownership.ts";
import { parseNodeName } from "../../../core/bootstrap/node_name.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../../core/kube/kinds/mod.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { Clock } from "../../../core/ports.ts";
import { CSR_QUALIFIED_KIND } from "../../api/csrs.ts";
import type { ApiConnection } from "../../api/connection.ts";
import { createCertificateLookup } from "../../api/holds.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { line } from "../../output/escape.ts";
import { findDeadline, startProgress } from "../../output/progress.ts";

/** Reads the names of `--expect`: names of machines, and files of kind Inventory. Throws UsageError, AppError. */
export async function readExpected(values: readonly string[], cwd: string): Promise<readonly string[]> {
  const files = createFilePort();
  const names: string[] = [];
  for (const value of values) {
    const text = await files.readText(resolve(cwd, value)).catch((error: unknown) => {
      // A name that is also the name of a folder is a machine.
      if (error instanceof AppError) return undefined;
      throw error;
    });
    if (text === undefined) {
      const name = parseNodeName(value);
      if (!name.ok) throw new UsageError(`--expect: "${value}" is neither a file nor a machine: ${name.error}`);
      names.push(value);
      continue;
    }
    const inventory = parseInventory(text);
    if (!inventory.ok) {
      throw new AppError("config_invalid", inventory.error.map((fault) => `${value}: ${fault}`).join("\n"), {
        hint: "--expect takes names of machines, and files of kind Inventory",
      });
    }
    names.push(...inventory.value.keys());
  }
  if (names.length === 0) throw new UsageError("--expect: no machine is expected", "name some, or a file with some");
  return [...new Set(names)];
}

/** The parts that the wait for machines uses. */
export interface ExpectOptions {
  readonly connection: ApiConnection;
  readonly expected: readonly string[];
  readonly forMs: number;
  readonly io: Io;
  /** Approves one request, unless it was replaced; returns false when it was approved before. */
  readonly approve: (csr: CertificateSigningRequest, signal: AbortSignal) => Promise<boolean>;
}

/** Approves expected machines until all have arrived or the time is over. Returns `no` when some have not. */
export async function approveExpected(
  options: ExpectOptions,
  signal: AbortSignal,
): Promise<{ readonly code: ExitCode; readonly approved: readonly string[] }> {
  const { expected, forMs, io } = options;
  const waiting = new ExpectedWait(options);
  const deadline = new AbortController();
  const timer = io.clock.sleep(forMs, AbortSignal.any([signal, deadline.signal])).then(
    () => deadline.abort(new Error("the time is over")),
    () => {},
  );
  try {
    await waiting.follow(AbortSignal.any([signal, deadline.signal]));
  } catch (error) {
    signal.throwIfAborted();
    if (!deadline.signal.aborted) throw error;
  } finally {
    deadline.abort();
    await timer;
  }
  const missing = waiting.listMissing();
  const count = expected.length - missing.length;
  io.stdout.write(line`${count} of ${expected.length} expected machines arrived\n`);
  for (const { node, why } of missing) io.stdout.write(line`${node}: ${why}\n`);
  return { code: missing.length === 0 ? EXIT.done : EXIT.no, approved: waiting.approved };
}

/** The requests of the API, and the state of each expected machine. */
class ExpectedWait {
  readonly #options: ExpectOptions;
  /** The requests for client certificates of expected machines, by machine and name. */
  readonly #csrs = new Map<string, Map<string, CertificateSigningRequest>>();
  readonly #certificates = new Map<string, readonly NodeCertificate[]>();
  readonly #states = new Map<string, ExpectedMachine>();
  readonly #reported = new Set<string>();
  /** The names of the requests that were approved. */
  readonly approved: string[] = [];

  constructor(options: ExpectOptions) {
    this.#options = options;
    for (const node of options.expected) {
      this.#states.set(node, { kind: "missing" });
      this.#csrs.set(node, new Map());
    }
  }

  /** Follows the requests until every machine has arrived. */
  async follow(signal: AbortSignal): Promise<void> {
    const { connection, io } = this.#options;
    const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: "warn" });
    const store = createObjectStore<CertificateSigningRequest>(connection.transport, certificateSigningRequestKind, {
      clock: io.clock,
      random: io.random,
      logger,
      onFailure(error) {
        if (error.code === "access_denied" || error.code === "unauthorized") throw error;
        logger.warn("the requests cannot be watched, trying again", { error: error.message });
      },
    });
    let isSynced = false;
    using progress = startProgress(io, this.#describeMissing(), findDeadline(this.#options.forMs, io.clock));
    for await (const change of store.changes(signal)) {
      if (change.kind === "synced") {
        if (!isSynced) await this.#readCertificates(io.clock, signal);
        isSynced = true;
        for (const node of this.#states.keys()) await this.#step(node, signal);
      } else {
        const node = this.#apply(change.object, change.kind === "deleted");
        if (isSynced && node !== undefined) await this.#step(node, signal);
      }
      if (isSynced && this.listMissing().length === 0) return;
      progress.update(this.#describeMissing());
    }
  }

  #describeMissing(): string {
    const missing = this.listMissing().map(({ node }) => node);
    return `waiting for ${missing.length === 1 ? "" : `${missing.length} machines: `}${missing.join(", ")}`;
  }

  /** Applies a change; returns the expected machine that the request is about. */
  #apply(csr: CertificateSigningRequest, isDeleted: boolean): string | undefined {
    const request = parseRequest(csr.spec.request);
    const node = request.ok ? findRequestedNode(csr, request.value) : undefined;
    const own = node === undefined ? undefined : this.#csrs.get(node);
    if (isDeleted) own?.delete(getName(csr));
    else own?.set(getName(csr), csr);
    return own === undefined ? undefined : node;
  }

  /** Lists the machines that have not arrived, and why. */
  listMissing(): readonly { readonly node: string; readonly why: string }[] {
    return [...this.#states].flatMap(([node, state]) => {
      switch (state.kind) {
        case "arrived":
          return [];
        case "contested":
          return [{ node, why: `requests with different keys claim it: ${state.pending.join(", ")}` }];
        case "approve":
          return [{ node, why: `its request ${getName(state.csr)} could not be approved` }];
        case "missing":
          return [{ node, why: "did not arrive" }];
      }
    });
  }

  /** Reads the certificates that the machines have already, once, for the decision what another key means. */
  async #readCertificates(clock: Clock, signal: AbortSignal): Promise<void> {
    const lookUp = createCertificateLookup(this.#options.connection.api, [], clock, signal);
    for (const node of this.#states.keys()) {
      const found = await lookUp(node, "");
      if (found.kind === "failed") throw new AppError("unreachable", found.message);
      this.#certificates.set(node, found.kind === "found" ? found.value : []);
    }
  }

  /** Plans for one machine and carries it out. */
  async #step(node: string, signal: AbortSignal): Promise<void> {
    const { io } = this.#options;
    const requests = [...this.#csrs.get(node)?.values() ?? []];
    const known = this.#certificates.get(node) ?? [];
    const state = planExpectedMachine(node, requests, known, io.clock.now());
    // A machine that was approved here counts, also before its change arrives.
    if (this.#states.get(node)?.kind === "arrived" && state.kind !== "arrived") return;
    this.#states.set(node, state);
    if (state.kind === "approve") await this.#approve(node, state.csr, signal);
    else this.#report(node, state);
  }

  async #approve(node: string, csr: CertificateSigningRequest, signal: AbortSignal): Promise<void> {
    const { io, approve } = this.#options;
    const name = getName(csr);
    try {
      const isNew = await approve(csr, signal);
      this.#states.set(node, { kind: "arrived", pending: [] });
      this.approved.push(name);
      io.stdout.write(line`${CSR_QUALIFIED_KIND}/${name} ${isNew ? "" : "already "}approved (${node})\n`);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      // Another person has denied it, or the machine has deleted it and asks again.
      this.#reportOnce(`${name} of ${node} cannot be approved: ${getErrorMessage(error)}`);
    }
  }

  #report(node: string, state: ExpectedMachine): void {
    if (state.kind === "contested") {
      this.#reportOnce(
        `not approved: ${state.pending.join(", ")}. They claim the name ${node} with different keys; ` +
          "find out which is the machine's, and approve it by csr/NAME",
      );
    }
    if (state.kind === "arrived" && state.pending.length > 0) {
      this.#reportOnce(
        `not approved: ${state.pending.join(", ")}. ${node} has a certificate or an approved request with another ` +
          "key; another machine may claim its name",
      );
    }
  }

  #reportOnce(text: string): void {
    if (this.#reported.has(text)) return;
    this.#reported.add(text);
    this.#options.io.stderr.write(line`${text}\n`);
  }
}
