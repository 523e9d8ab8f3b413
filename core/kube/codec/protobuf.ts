/**
 * Protobuf as Kubernetes speaks it (csr-api.md section 3): messages, the envelope around every body, lists and watch
 * frames.
 */
export { DecodeError } from "./errors.ts";
export { decodeEnvelope, encodeEnvelope, type Envelope } from "./protobuf_envelope.ts";
export { type DecodedList, decodeList, encodeList, encodeListItem, encodeListOfItems } from "./protobuf_list.ts";
export { decodeMessage } from "./protobuf_read.ts";
export { decodeWatchFrames, encodeWatchFrame, type WatchFrame, WatchFrameDecoder } from "./protobuf_watch.ts";
export { encodeMessage } from "./protobuf_write.ts";
