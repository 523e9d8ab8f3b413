/**
 * The protobuf encoding of the Kubernetes API (apimachinery `pkg/runtime/serializer/protobuf`): messages, the envelope
 * around every body, lists and the frames of a watch.
 */
export { DecodeError } from "./errors.ts";
export { decodeEnvelope, encodeEnvelope, type Envelope } from "./protobuf_envelope.ts";
export { type DecodedList, decodeList, encodeList, encodeListItem, encodeListOfItems } from "./protobuf_list.ts";
export { decodeMessage } from "./protobuf_read.ts";
export { decodeWatchFrames, encodeWatchFrame, type WatchFrame, WatchFrameDecoder } from "./protobuf_watch.ts";
export { encodeMessage } from "./protobuf_write.ts";
