/** Replaces the CAs in a kubeconfig, and leaves every other byte of the file as it is. */
import { encodeBase64 } from "../../lib/base64.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { encodeKubeconfig, type Kubeconfig, parseKubeconfig } from "./kubeconfig.ts";

/**
 * Replaces embedded CAs (PEM) wherever they are the `certificate-authority-data` of a cluster: entries with the same CAs
 * are addresses of the same cluster. The result is read again, and differs in nothing else. The error is one sentence
 * that names the path.
 */
export function replaceEmbeddedCa(
  text: string,
  path: string,
  { from, to }: { readonly from: string; readonly to: string },
): Result<string, string> {
  const config = parseKubeconfig(text, path);
  if (!config.ok) return config;
  const expected = withCa(config.value, from, to);
  // The value may be wrapped over several lines, and its characters may also occur within a longer value.
  const characters = [...encodeBase64(from)].map((character) => character.replace("+", "\\+")).join("\\s*");
  const value = new RegExp(`(?<![A-Za-z0-9+/=])${characters}(?![A-Za-z0-9+/=])`, "g");
  const replaced = text.replace(value, () => encodeBase64(to));
  const read = parseKubeconfig(replaced, path);
  if (read.ok && encodeKubeconfig(read.value) === encodeKubeconfig(expected)) return ok(replaced);
  return err(`cannot replace the CA in kubeconfig "${path}": the value of certificate-authority-data was not found`);
}

function withCa(config: Kubeconfig, from: string, to: string): Kubeconfig {
  return {
    ...config,
    clusters: config.clusters.map(({ name, cluster }) => ({
      name,
      cluster: cluster.certificateAuthorityData === from ? { ...cluster, certificateAuthorityData: to } : cluster,
    })),
  };
}
