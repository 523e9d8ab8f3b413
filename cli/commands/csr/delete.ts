/** Deletes certificate signing requests by their names or short names, or the pending ones of a requester. */
import type { ApiClient } from "../../../client/objects/api.ts";
import { isSettled } from "../../../core/approval/recognizers.ts";
import { isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../../core/kube/meta.ts";
import { connect } from "../../connection.ts";
import { csrPath, findByShortName, listCsrs, parseCsrNames, withWholeName } from "../../../client/admin/csrs.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import type { deleteCsrCommand } from "./flags.ts";
import { forEachItem } from "../../framework/report.ts";

/** The maximum number of concurrent deletions. */
const CONCURRENCY = 16;

export async function run(input: Input<typeof deleteCsrCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const { args, settings } = input;
  const names = parseCsrNames(args);
  await using connection = await connect(settings, tools);
  const { api } = connection;
  if (settings.pendingOf !== undefined) return await deletePending(api, settings.pendingOf, tools);
  const remove = async (name: string): Promise<void> => {
    const body = { propagationPolicy: "Background" };
    await api.requestJson({ method: "DELETE", path: csrPath(name), body }, signal);
    tools.stdout.write(line`certificatesigningrequest.certificates.k8s.io "${name}" deleted\n`);
  };
  return await forEachItem(
    names,
    (name) => withWholeName(name, remove, () => findByShortName(api, name, signal)),
    tools,
  );
}

async function deletePending(api: ApiClient, requester: string, tools: Tools): Promise<ExitCode> {
  const { items } = await listCsrs(api, {}, tools.signal);
  const remaining = items.filter((csr) => csr.spec.username === requester && !isSettled(csr)).values();
  let deleted = 0;
  const work = async (): Promise<void> => {
    for (const csr of remaining) if (await removeUnchanged(api, csr, tools.signal)) deleted += 1;
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  tools.stdout.write(line`${deleted} pending ${deleted === 1 ? "request" : "requests"} of "${requester}" deleted\n`);
  return EXIT.done;
}

/** Deletes a request, unless it has changed since it was listed. Returns false if it has changed or is gone. */
async function removeUnchanged(api: ApiClient, csr: CertificateSigningRequest, signal: AbortSignal): Promise<boolean> {
  const { uid, resourceVersion } = csr.metadata;
  const preconditions = { uid, resourceVersion };
  try {
    await api.requestJson({ method: "DELETE", path: csrPath(getName(csr)), body: { preconditions } }, signal);
    return true;
  } catch (error) {
    if (isAppError(error, "not_found", "conflict")) return false;
    throw error;
  }
}
