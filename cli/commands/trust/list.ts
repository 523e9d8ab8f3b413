/** Lists ClusterTrustBundles with the number of their certificates and the end of the first one. */
import type { ClusterTrustBundle } from "../../../core/kube/kinds/certificates_v1.ts";
import { clusterTrustBundleKind } from "../../../core/kube/kinds/mod.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import { describeTrustBundle } from "../../../core/pki/x509/ca_bundle.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { type getTrustBundlesCommand, parseTrustBundleName } from "./flags.ts";
import { showObjects } from "../../output/show_objects.ts";
import type { OwnTable } from "../../output/server_tables.ts";
import { explainTrustBundleFailure } from "../../../client/admin/trust_bundles.ts";

const TABLE: OwnTable = {
  columns: [{ name: "Name", minWidth: 20 }, { name: "Signer", minWidth: 12 }, { name: "Certificates" }, {
    name: "Expires",
  }],
  toCells(bundle: ClusterTrustBundle) {
    const { certificates, firstNotAfter } = describeTrustBundle(bundle.spec.trustBundle);
    const expires = firstNotAfter === undefined ? "<unknown>" : formatTime(firstNotAfter);
    return [getName(bundle), bundle.spec.signerName, certificates, expires];
  },
};

export async function run(input: Input<typeof getTrustBundlesCommand.flags>, tools: Tools): Promise<ExitCode> {
  const names = input.args.map(parseTrustBundleName);
  try {
    return await showObjects({ kind: clusterTrustBundleKind, names, table: TABLE }, input, tools);
  } catch (error) {
    throw explainTrustBundleFailure(error);
  }
}
