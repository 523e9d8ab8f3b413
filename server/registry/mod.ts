/** The entry point of the registry for the rest of the program: the stored resources, their keys and their encoding. */
export { ABSENT_RESOURCES } from "./absent_kinds.ts";
export { STORED_RESOURCES } from "./resources.ts";
export { READ_VERBS } from "./resource.ts";
export { createUid, toKeyPrefix, toStorageKey } from "./registry.ts";
export { createStoredValues } from "./stored_values.ts";
// The resources that controllers read from the storage.
export { caRotations, issuedCertificates, requestRecords } from "./tlsboot_v1alpha1.ts";
export { certificateSigningRequests } from "./certificates_v1.ts";
export { events } from "./events.ts";
export { findLimitedToken, findTokenSecret } from "./secrets.ts";
