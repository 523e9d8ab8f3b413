/** Every target by name. A target is loaded when it is run. */
import type { Target } from "./target.ts";

/** The functions that load each target, in the order in which they run. */
export const TARGETS: Readonly<Record<string, () => Promise<Target>>> = {
  json: async () => (await import("./targets/json.ts")).json,
  yaml: async () => (await import("./targets/yaml.ts")).yaml,
  protobuf: async () => (await import("./targets/protobuf.ts")).protobuf,
  envelope: async () => (await import("./targets/protobuf.ts")).envelope,
  labels: async () => (await import("./targets/selectors.ts")).labels,
  fields: async () => (await import("./targets/selectors.ts")).fields,
  pem: async () => (await import("./targets/pem.ts")).pem,
  armor: async () => (await import("./targets/offline.ts")).armor,
  offline: async () => await (await import("./targets/offline.ts")).offline(),
  trust_bundle: async () => (await import("./targets/pem.ts")).trustBundle,
  pod_chain: async () => await (await import("./targets/pem.ts")).podChain(),
  request: async () => (await import("./targets/der.ts")).request,
  certificate: async () => await (await import("./targets/der.ts")).certificate(),
  jwt: async () => await (await import("./targets/tokens.ts")).jwt(),
  names: async () => (await import("./targets/der.ts")).names,
  tpm: async () => await (await import("./targets/tpm.ts")).tpm(),
  target: async () => (await import("./targets/parameters.ts")).requestTarget,
  query: async () => (await import("./targets/parameters.ts")).query,
  continue: async () => (await import("./targets/parameters.ts")).continueToken,
  accept: async () => (await import("./targets/parameters.ts")).accept,
  content_type: async () => (await import("./targets/parameters.ts")).contentType,
  json_patch: async () => (await import("./targets/patches.ts")).jsonPatch,
  merge_patch: async () => (await import("./targets/patches.ts")).mergePatch,
  strategic_patch: async () => (await import("./targets/patches.ts")).strategicPatch,
  apply: async () => (await import("./targets/patches.ts")).apply,
  api: async () => await (await import("./targets/api.ts")).api(),
  http: async () => await (await import("./targets/http.ts")).http(),
};
