/** Made by scripts/vectors.ts: one vector for each kind, by file name. */
import type { Vector } from "./vector.ts";
import { certificatesigningrequests } from "./certificatesigningrequests.ts";
import { clusterrolebindings } from "./clusterrolebindings.ts";
import { clusterroles } from "./clusterroles.ts";
import { configmaps } from "./configmaps.ts";
import { csinodes } from "./csinodes.ts";
import { events } from "./events.ts";
import { events_v1 } from "./events_v1.ts";
import { leases } from "./leases.ts";
import { localsubjectaccessreviews } from "./localsubjectaccessreviews.ts";
import { namespaces } from "./namespaces.ts";
import { nodes } from "./nodes.ts";
import { rolebindings } from "./rolebindings.ts";
import { roles } from "./roles.ts";
import { secrets } from "./secrets.ts";
import { selfsubjectaccessreviews } from "./selfsubjectaccessreviews.ts";
import { selfsubjectreviews } from "./selfsubjectreviews.ts";
import { selfsubjectrulesreviews } from "./selfsubjectrulesreviews.ts";
import { serviceaccounts } from "./serviceaccounts.ts";
import { subjectaccessreviews } from "./subjectaccessreviews.ts";
import { tokenreviews } from "./tokenreviews.ts";

/** By plural name; the newer Event kind is `events_v1`. */
export const VECTORS: Readonly<Record<string, Vector>> = {
  certificatesigningrequests,
  clusterrolebindings,
  clusterroles,
  configmaps,
  csinodes,
  events,
  events_v1,
  leases,
  localsubjectaccessreviews,
  namespaces,
  nodes,
  rolebindings,
  roles,
  secrets,
  selfsubjectaccessreviews,
  selfsubjectreviews,
  selfsubjectrulesreviews,
  serviceaccounts,
  subjectaccessreviews,
  tokenreviews,
};
