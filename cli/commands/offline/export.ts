/** Exports approved requests that have no certificate, as a bundle for a CA without a network. */
import { findCondition, getCsrPhase } from "../../../core/request/phase.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import { AppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import {
  encodeExport,
  MAX_BUNDLE_ITEMS,
  type OfflineRequest,
  type OfflineRequester,
} from "../../../core/offline/bundle.ts";
import { createCaKey } from "../../../core/pki/keys/keys.ts";
import { publicKeyPin } from "../../../core/pki/keys/public_key_pin.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { warn } from "../../framework/report.ts";
import type { Io, Tools } from "../../io.ts";
import { writeQrPages } from "../../offline_files.ts";
import { line } from "../../../core/lib/printable.ts";
import { getBundleKeyPath, openBundleKey } from "./bundle_key.ts";
import type { exportCsrCommand } from "./flags.ts";
import { encodeHex } from "../../../core/lib/encodings.ts";
import { connect } from "../../connection.ts";
import { findWholeName, listCsrs, parseCsrNames } from "../../../client/admin/csrs.ts";

const ID_BYTES = 16;

export async function run(input: Input<typeof exportCsrCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { args, settings } = input;
  const names = parseCsrNames(args);
  const { files, signal } = tools;
  await using connection = await connect(settings, tools);
  const { items } = await listCsrs(connection.api, { labelSelector: settings.selector }, signal);
  const chosen = chooseRequests(items, names, settings.signer, tools);
  if (chosen.length === 0) {
    tools.stderr.write("nothing to export: no request that matches is approved and without a certificate\n");
    return EXIT.no;
  }
  if (chosen.length > MAX_BUNDLE_ITEMS) {
    throw new AppError("invalid", `cannot export ${chosen.length} requests at once: the limit is ${MAX_BUNDLE_ITEMS}`, {
      hint: "export them in several bundles, with --signer, --selector or names",
    });
  }
  const { key, isNew } = await openBundleKey(getBundleKeyPath(settings, tools.cwd), files);
  const id = encodeHex(tools.random.bytes(ID_BYTES));
  const createdAt = formatTime(tools.clock.now());
  const { server } = connection.cluster;
  const text = await encodeExport({ id, createdAt, server }, chosen, createCaKey(key));
  tools.stdout.write(text);
  if (settings.qr !== undefined) {
    const facts = [["Server", server], ["Exported", createdAt], ["Export", id]] as const;
    const names = chosen.map(({ name }) => name);
    await writeQrPages(settings.qr, { kind: "requests", text, id, facts, names }, tools);
  }
  const count = chosen.length === 1 ? "1 request" : `${chosen.length} requests`;
  tools.stderr.write(line`exported ${count} as ${id}\n`);
  const pin = publicKeyPin({ publicKeyDer: key.publicKeyDer() });
  if (isNew) {
    tools.stderr.write(
      `a new key signed it; the CA trusts that key from its first answer on, with: tlsboot sign FILE --trust-exporter ${pin}\n`,
    );
  }
  return EXIT.done;
}

/** Chooses the requests to export, in the order of their names. Throws AppError for a named one that cannot be exported. */
function chooseRequests(
  items: readonly CertificateSigningRequest[],
  names: readonly string[],
  signerNames: readonly string[],
  io: Pick<Io, "stderr" | "env">,
): readonly OfflineRequest[] {
  const byName = new Map(items.map((csr) => [getName(csr), csr]));
  const chosen: OfflineRequest[] = [];
  for (const name of names.length > 0 ? new Set(names) : [...byName.keys()].sort()) {
    const csr = byName.get(name) ?? byName.get(findWholeName(name, [...byName.keys()]) ?? "");
    const fault = csr === undefined ? "there is no such request that matches" : findExportFault(csr, signerNames);
    const approval = csr === undefined ? undefined : findCondition(csr, "Approved");
    if (csr === undefined || approval === undefined || fault !== undefined) {
      if (names.length === 0) continue;
      throw new AppError("invalid", `cannot export "${name}": ${fault}`, { hint: "see: tlsboot get csr" });
    }
    const facts = parseRequest(csr.spec.request);
    const { signerName, usages = [], expirationSeconds, username, uid, groups, extra } = csr.spec;
    if (facts.ok) {
      const fields = Object.entries({ username, uid, groups, extra }).filter(([, value]) => value !== undefined);
      const requester: OfflineRequester = Object.fromEntries(fields);
      const approved = { uid: csr.metadata.uid ?? "", requester, approval };
      chosen.push({ name: getName(csr), facts: facts.value, signerName, usages, expirationSeconds, approved });
    } else warn(`"${name}" is not exported, because no signer can read it: ${facts.error}`, io);
  }
  return chosen;
}

function findExportFault(csr: CertificateSigningRequest, signerNames: readonly string[]): string | undefined {
  const { signerName } = csr.spec;
  if (signerNames.length > 0 && !signerNames.includes(signerName)) return `it is for the signer "${signerName}"`;
  const { kind } = getCsrPhase(csr);
  if (kind === "approved") return undefined;
  return kind === "pending" ? "it is not approved" : kind === "issued" ? "it has its certificate" : `it is ${kind}`;
}
