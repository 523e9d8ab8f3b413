/**
 * Revokes what a server without revocations can take back, such as kube-apiserver, which reads no CRL and accepts a client
 * certificate until it expires: pending requests are denied, and bootstrap tokens deleted.
 */
import { type ApiClient, listAll } from "../../../client/objects/api.ts";
import { findLeafCertificate } from "../../../core/request/issued_certificate.ts";
import { getCsrPhase } from "../../../core/request/phase.ts";
import { AppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import type { revokeCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { forEachItem } from "../../framework/for_each_item.ts";
import { canAsk, confirm } from "../../confirm.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import type { ApiConnection } from "../../../client/admin/connection.ts";
import { CSR_COLLECTION, getCsrByName } from "../../../client/admin/csrs.ts";
import { tokenPath } from "../../../client/admin/tokens.ts";
import type { TypedTarget } from "../../../client/admin/revocations.ts";
import { createDenial, decideOne } from "../../../client/admin/decisions.ts";

/** Denies pending requests and deletes tokens; for every other target it reports what helps instead. */
export async function revokeElsewhere(
  targets: readonly TypedTarget[],
  connection: ApiConnection,
  { settings }: Input<typeof revokeCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  if (!settings.yes && canAsk(tools)) {
    tools.stderr.write("this server has no revocations: only pending requests can be denied, and tokens deleted\n");
    const texts = targets.map(({ text }) => text).join(", ");
    if (!await confirm(line`Revoke ${texts} as far as possible?`, tools)) return EXIT.no;
  }
  return await forEachItem(targets, async (target) => {
    const { text } = target;
    if (target.kind === "csr") await denyElsewhere(text, target.name, connection, settings.message, tools);
    else if (target.kind === "named" && target.target.kind === "token") {
      await deleteTokenElsewhere(text, target.target.value, connection, tools);
    } else throw impossible(text);
  }, tools);
}

async function denyElsewhere(
  text: string,
  name: string,
  { api }: ApiConnection,
  message: string | undefined,
  tools: Tools,
): Promise<void> {
  const csr = await getCsrByName(api, name, tools.signal);
  if (getCsrPhase(csr).kind !== "pending") throw impossible(text);
  await denyPending({ text, name: getName(csr), uid: csr.metadata.uid }, api, message, tools);
}

/** Deletes a token, and lists the requests of it that still exist with the ends of their certificates. */
async function deleteTokenElsewhere(text: string, id: string, { api }: ApiConnection, tools: Tools): Promise<void> {
  await api.requestJson({ method: "DELETE", path: tokenPath(id) }, tools.signal);
  tools.stdout.write(line`${text} deleted\n`);
  const { items } = await listAll<CertificateSigningRequest>(api, CSR_COLLECTION, {}, tools.signal);
  for (const csr of items.filter(({ spec }) => spec.username === `system:bootstrap:${id}`)) {
    const leaf = findLeafCertificate(csr.status.certificate ?? "");
    const got = leaf === undefined
      ? "has no certificate"
      : `got ${formatName(leaf.subject)}, valid until ${formatTime(leaf.notAfter)}`;
    tools.stdout.write(line`request ${getName(csr)} of this token ${got}\n`);
  }
}

function impossible(text: string): AppError {
  const why =
    "the server has no revocations. It is another API server, such as kube-apiserver, which reads no CRL and " +
    "accepts a client certificate until it expires";
  return new AppError("invalid", `cannot revoke "${text}": ${why}`, {
    hint: "delete the role bindings of the user or the Node of the machine, deny renewals with a policy of " +
      "tlsboot approver, and for programs that read a CRL use tlsboot ca crl --revoke: see tlsboot guide " +
      "beside_a_cluster",
  });
}

/** Denies a request as the user of the connection; with `uid` only the object that was seen. */
export async function denyPending(
  { text, name, uid }: { readonly text: string; readonly name: string; readonly uid: string | undefined },
  api: ApiClient,
  message: string | undefined,
  tools: Tools,
): Promise<void> {
  const decision = await createDenial(api, "tlsboot revoke", tools.signal, { reason: "Revoked", message });
  await decideOne(api, name, decision, tools, tools.signal, { uid });
  tools.stdout.write(line`${text} denied: it was pending, so it has no certificate\n`);
}
