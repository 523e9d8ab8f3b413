/** The state of the machines that a person expects, for the plan on the page. */
import { type ExpectedMachine, planExpectedMachine } from "../../core/approval/evidence/expected_machines.ts";
import { isKnownHosts } from "../../core/attestation/known_hosts.ts";
import { HASHED_NAMES_FAULT, parseInventory } from "../../core/approval/evidence/inventory.ts";
import { findRequestedNode } from "../../core/approval/evidence/claims.ts";
import { parseNodeName } from "../../core/machine/node_name.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import type { Clock } from "../../core/ports.ts";
import { listCsrs } from "./csrs.ts";
import { createCertificateLookup } from "./holds.ts";
import type { ApiClient } from "../objects/api.ts";

/** One expected machine, and what is to be done about it. */
export interface PlannedMachine {
  readonly node: string;
  readonly state: ExpectedMachine;
}

/** Parses a list of machines: names with spaces, commas or lines between them, or an inventory. */
export function parseExpectedMachines(text: string): Result<readonly string[], readonly string[]> {
  if (/^kind:/m.test(text) || isKnownHosts(text)) {
    const inventory = parseInventory(text);
    if (!inventory.ok) return inventory;
    return inventory.value.hashedHosts === undefined ? ok([...inventory.value.keys()]) : err([HASHED_NAMES_FAULT]);
  }
  const names: string[] = [];
  const faults: string[] = [];
  for (const word of text.split(/[\s,]+/).filter((candidate) => candidate !== "")) {
    const name = parseNodeName(word);
    if (name.ok) names.push(name.value);
    else faults.push(`"${word}" is not the name of a machine: ${name.error}`);
  }
  if (faults.length > 0) return err(faults);
  return names.length === 0 ? err(["no machine is named"]) : ok([...new Set(names)]);
}

/** Plans for each machine by the requests and certificates that the API has now. */
export async function planExpectedMachines(
  api: ApiClient,
  nodes: readonly string[],
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly PlannedMachine[]> {
  const byNode = new Map<string, CertificateSigningRequest[]>(nodes.map((node) => [node, []]));
  for (const csr of (await listCsrs(api, {}, signal)).items) {
    const request = parseRequest(csr.spec.request);
    const node = request.ok ? findRequestedNode(csr, request.value) : undefined;
    if (node !== undefined) byNode.get(node)?.push(csr);
  }
  const lookUp = createCertificateLookup(api, [], clock, signal);
  return await Promise.all([...byNode].map(async ([node, requests]) => {
    const known = await lookUp(node, "");
    if (known.kind === "failed") throw new AppError("unreachable", known.message);
    const certificates = known.kind === "found" ? known.value : [];
    return { node, state: planExpectedMachine(node, requests, certificates, clock.now()) };
  }));
}
