/**
 * Describes requests: kubectl's page first, then the requested identity next to the requester, and the rules' verdicts.
 */
import { resolve } from "node:path";
import { type ApiClient, withQuery } from "../../../client/objects/api.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import type { Event } from "../../../core/kube/kinds/core_v1.ts";
import { createCustomProfile } from "../../../core/signing/custom_profile.ts";
import type { SigningProfile } from "../../../core/signing/profile.ts";
import { profileFault } from "../../../controllers/signer/profile_provider.ts";
import { findPurposeFault } from "../../../core/signing/profile_spec.ts";
import type { describeCsrCommand } from "./flags.ts";
import { connect } from "../../connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { readProfileFile } from "../../../instance/controllers/signer_profiles.ts";
import { csrPath, listCsrs, parseCsrNames } from "../../../client/admin/csrs.ts";
import { readApproverSettings } from "../../../client/admin/published_settings.ts";
import { createRequestViews } from "../../../client/admin/request_views.ts";
import { describeRequest } from "./describe_text.ts";
import { findByShortName, listRequestsOfMachine } from "./targets.ts";
import { forEachItem } from "../../framework/for_each_item.ts";

export async function run(input: Input<typeof describeCsrCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const names = parseCsrNames(input.args);
  const profiles = await readProfiles(input.settings.profile, tools);
  await using connection = await connect(input.settings, tools);
  const { api } = connection;
  const chosen = await readApproverSettings(api, signal);
  const views = createRequestViews(connection, { chosen, profiles }, tools);
  let isFirst = true;
  const show = async (csr: CertificateSigningRequest): Promise<void> => {
    const [events, view] = await Promise.all([findEvents(api, csr, signal), views.view(csr, signal)]);
    tools.stdout.write(`${isFirst ? "" : "\n\n"}${describeRequest(csr, view, events, tools.clock.now())}`);
    isFirst = false;
  };
  if (names.length > 0) {
    return await forEachItem(
      names,
      async (name) => {
        for (const csr of await findRequests(api, name, tools)) await show(csr);
      },
      tools,
    );
  }
  const { items } = await listCsrs(api, {}, signal);
  if (items.length === 0) tools.stderr.write("No resources found\n");
  for (const csr of items) await show(csr);
  return EXIT.done;
}

/** Finds a request by its name or short name, or those of a machine of that name. */
async function findRequests(api: ApiClient, name: string, tools: Tools): Promise<readonly CertificateSigningRequest[]> {
  const { signal } = tools;
  try {
    return [await api.requestObject({ method: "GET", path: csrPath(name) }, signal)];
  } catch (error) {
    if (!isAppError(error, "not_found")) throw error;
    const whole = await findByShortName(api, name, tools.clock, signal);
    if (whole !== undefined) return [await api.requestObject({ method: "GET", path: csrPath(whole) }, signal)];
    const found = await listRequestsOfMachine(api, name, signal);
    if (found.length === 0) throw error;
    return found;
  }
}

/** Reads profiles and returns them by signer name. A file without a signer name is refused. */
async function readProfiles(
  paths: readonly string[],
  { files, cwd }: Tools,
): Promise<ReadonlyMap<string, SigningProfile>> {
  const profiles = new Map<string, SigningProfile>();
  for (const path of paths) {
    const spec = await readProfileFile(resolve(cwd, path), files);
    const fault = findPurposeFault(spec, false);
    if (fault !== undefined) throw profileFault(path, [fault]);
    if (spec.signerName === undefined) {
      throw profileFault(path, ["signerName: missing; name the signer that these rules are for"]);
    }
    profiles.set(spec.signerName, createCustomProfile(spec.signerName, spec));
  }
  return profiles;
}

/** Reads the Events about a request; undefined when the user may not read them, as kubectl then omits them. */
async function findEvents(
  api: ApiClient,
  csr: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<readonly Event[] | undefined> {
  const { name = "", uid = "" } = csr.metadata;
  const fieldSelector = [
    `involvedObject.name=${name}`,
    "involvedObject.namespace=",
    "involvedObject.kind=CertificateSigningRequest",
    `involvedObject.uid=${uid}`,
  ].join(",");
  try {
    const path = withQuery("/api/v1/events", { fieldSelector, limit: "500" });
    return (await api.requestList<Event>({ method: "GET", path }, signal)).items;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return undefined;
  }
}
