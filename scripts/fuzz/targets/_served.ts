/** The stored resources that need nothing but themselves, by their kind. */
import type { Kind } from "../../../core/kube/schema.ts";
import { certificateSigningRequests } from "../../../server/registry/certificatesigningrequests.ts";
import { configMaps } from "../../../server/registry/configmaps.ts";
import { csiNodes } from "../../../server/registry/csinodes.ts";
import { events } from "../../../server/registry/events.ts";
import { eventsV1 } from "../../../server/registry/events_v1.ts";
import { leases } from "../../../server/registry/leases.ts";
import { namespaces } from "../../../server/registry/namespaces.ts";
import { nodes } from "../../../server/registry/nodes.ts";
import type { Resource } from "../../../server/registry/resource.ts";
import { secrets } from "../../../server/registry/secrets.ts";
import { serviceAccounts } from "../../../server/registry/serviceaccounts.ts";

// As in `server/registry/resources.ts`: a strategy only ever gets objects of its own kind.
const RESOURCES = [
  certificateSigningRequests,
  configMaps,
  csiNodes,
  events,
  eventsV1,
  leases,
  namespaces,
  nodes,
  secrets,
  serviceAccounts,
] as readonly Resource[];

/** By kind. */
export const SERVED: ReadonlyMap<Kind, Resource> = new Map(RESOURCES.map((resource) => [resource.kind, resource]));
