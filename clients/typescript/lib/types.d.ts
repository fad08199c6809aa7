/**
 * Request of `CancelGeneration`.
 */
export interface CancelGenerationRequest {
    /**
     * The generation.
     */
    generationId: string;
}
/**
 * Request of `EditImages`.
 */
export interface EditImagesRequest {
    /**
     * What to change, 1 to 32,000 characters after trimming. A model may allow less.
     */
    prompt: string;
    /**
     * The ids of the images to start from: 1 to the model's maximum, all in this workspace and created by the caller.
     */
    imageIds: string[];
    /**
     * How many images to make, 1 to 10. Default: 1. Where the model makes fewer in one go, the work is split.
     */
    numImages?: number;
    /**
     * The shape: one of those of `GenerateImages`, or `auto` (default) for the shape of the first input.
     */
    aspectRatio?: "auto" | "1:1" | "16:9" | "9:16" | "4:3" | "3:4" | "3:2" | "2:3" | "21:9" | "4:5" | "5:4";
    /**
     * The file format of the images: `png`, `jpeg` or `webp`. Left out, they are the bytes as the model made them when those are one of these, else `png`; `parameters.outputFormat` of each image says which.
     */
    outputFormat?: "png" | "jpeg" | "webp";
    /**
     * The id of a model of the catalogue. Default: the one that the operator configured.
     */
    modelId?: string;
    /**
     * A seed, for models that have seeds: the same seed and request give the same picture; picture i of a request uses seed + i. Default: a random one.
     */
    seed?: number;
    /**
     * Makes the call safe to repeat: the same id and the same request answer the same images and buy nothing again. 1 to 128 visible characters, remembered for at least 24 hours per workspace, user and kind of task. The header `Idempotency-Key` does the same.
     */
    requestId?: string;
}
/**
 * Response of `EditImages`.
 */
export interface EditImagesResponse {
    /**
     * The created images.
     */
    images: Image[];
    /**
     * Groups the images that were created together.
     */
    generationId: string;
    /**
     * What the provider said about the images, if anything.
     */
    description: string;
    /**
     * Present only as a warning: fewer images were made than asked for.
     */
    detail?: TaskDetail;
    /**
     * Present only in an answer that did not wait for the images, asked for by the header `Prefer: respond-async`: `RUNNING`. `GetGeneration` goes on.
     */
    state?: GenerationState;
}
/**
 * What every error answers (google.rpc.Status). Branch on `ErrorInfo.reason`, never on the message.
 */
export interface Error {
    /**
     * The gRPC status code.
     */
    code: number;
    /**
     * The error in words.
     */
    message: string;
    details: ErrorDetail[];
}
/**
 * One of `google.rpc.ErrorInfo` (always there), `BadRequest` (wrong fields) and `RetryInfo`.
 */
export interface ErrorDetail {
    "@type": string;
    /**
     * In `ErrorInfo`: a value of `ErrorReason`.
     */
    reason?: string;
    /**
     * In `ErrorInfo`: `imageservice`.
     */
    domain?: string;
    metadata?: Record<string, string>;
    /**
     * In `BadRequest`: each wrong field.
     */
    fieldViolations?: {
        field: string;
        description: string;
    }[];
    /**
     * In `RetryInfo`: when to try again, such as `1s`.
     */
    retryDelay?: string;
}
/**
 * Request of `GenerateImages`.
 */
export interface GenerateImagesRequest {
    /**
     * What to draw, 1 to 32,000 characters after trimming. A model may allow less.
     */
    prompt: string;
    /**
     * How many images to make, 1 to 10. Default: 1. Where the model makes fewer in one go, the work is split.
     */
    numImages?: number;
    /**
     * The shape: `1:1` (default), `16:9`, `9:16`, `4:3`, `3:4`, `3:2`, `2:3`, `21:9`, `4:5` or `5:4`, as far as the model can.
     */
    aspectRatio?: "1:1" | "16:9" | "9:16" | "4:3" | "3:4" | "3:2" | "2:3" | "21:9" | "4:5" | "5:4";
    /**
     * The file format of the images: `png`, `jpeg` or `webp`. Left out, they are the bytes as the model made them when those are one of these, else `png`; `parameters.outputFormat` of each image says which.
     */
    outputFormat?: "png" | "jpeg" | "webp";
    /**
     * The id of a model of the catalogue. Default: the one that the operator configured.
     */
    modelId?: string;
    /**
     * A seed, for models that have seeds: the same seed and request give the same picture; picture i of a request uses seed + i. Default: a random one.
     */
    seed?: number;
    /**
     * Makes the call safe to repeat: the same id and the same request answer the same images and buy nothing again. 1 to 128 visible characters, remembered for at least 24 hours per workspace, user and kind of task. The header `Idempotency-Key` does the same.
     */
    requestId?: string;
}
/**
 * Response of `GenerateImages`.
 */
export interface GenerateImagesResponse {
    /**
     * The created images.
     */
    images: Image[];
    /**
     * Groups the images that were created together.
     */
    generationId: string;
    /**
     * What the provider said about the images, if anything.
     */
    description: string;
    /**
     * Present only as a warning: fewer images were made than asked for.
     */
    detail?: TaskDetail;
    /**
     * Present only in an answer that did not wait for the images, asked for by the header `Prefer: respond-async`: `RUNNING`. `GetGeneration` goes on.
     */
    state?: GenerationState;
}
/**
 * One task of one caller, from before the model is asked until its images are there.
 */
export interface Generation {
    /**
     * The generation's id, 32 hexadecimal digits.
     */
    generationId: string;
    /**
     * The workspace that owns it.
     */
    workspaceId: string;
    /**
     * The user who asked for it.
     */
    createdByUserId: string;
    /**
     * What was asked for: `generate`, `edit` or `upscale`.
     */
    operation: string;
    /**
     * The id of the model that was asked.
     */
    model: string;
    /**
     * The prompt. Empty for upscales.
     */
    prompt: string;
    /**
     * Where it stands.
     */
    state: GenerationState;
    /**
     * The images that it made and that were not deleted since.
     */
    images: Image[];
    /**
     * The images that it started from, deleted ones among them: they stay readable by the `_links` given here as long as an image that was made from them exists.
     */
    inputImages: Image[];
    /**
     * What the provider said about the images, if anything.
     */
    description: string;
    /**
     * Present when fewer images were made than asked for.
     */
    detail?: TaskDetail;
    /**
     * Present when `state` is `FAILED` or `CANCELLED`: the error that the task call answered.
     */
    error?: Error;
    /**
     * Whether the provider may charge for it, or has, although it has no images: true from its first purchase on while it runs, and after it failed or was cancelled unless surely nothing was bought. Such a task asked for anew, without its idempotency key, may be paid twice.
     */
    mayBill: boolean;
    /**
     * When it was asked for (UTC).
     */
    createdAt?: string;
    /**
     * When it last changed (UTC).
     */
    updatedAt?: string;
}
/**
 * Where a generation stands. It leaves `RUNNING` once and for all.
 *
 * - `STATE_UNSPECIFIED`: Never sent.
 * - `RUNNING`: The model works on it, or it waits for its turn.
 * - `SUCCEEDED`: Its images are there; `detail` says when some are missing.
 * - `FAILED`: It made no image; `error` says why.
 * - `CANCELLED`: Somebody cancelled it. Images that were finished before are kept.
 */
export type GenerationState = "STATE_UNSPECIFIED" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLED";
/**
 * A picture of a workspace: the facts about it. `GetImageContent` answers its bytes.
 */
export interface Image {
    /**
     * The image's id, 32 hexadecimal digits; also the key of its bytes in the blob store.
     */
    id: string;
    /**
     * Groups every image that one request produced. Empty for an upload.
     */
    generationId: string;
    /**
     * The workspace that owns the image.
     */
    workspaceId: string;
    /**
     * The user who made the image: the `sub` of the access token.
     */
    createdByUserId: string;
    /**
     * The prompt that produced the image. Empty for upscales and uploads.
     */
    prompt: string;
    /**
     * The id of the model that produced the image. Empty for uploads.
     */
    model: string;
    /**
     * What was really used to produce the image: `aspectRatio`, `outputFormat`, `numImages`, `upscaleFactor`, and `seed` when the model has seeds.
     */
    parameters?: Record<string, unknown>;
    /**
     * The ids of the images that this one was made from. They stay here when those images are deleted.
     */
    inputImageIds: string[];
    /**
     * The picture's width in pixels as it is shown: a photograph that its EXIF data turn has the width that it has upright.
     */
    imageWidth: number;
    /**
     * The picture's height in pixels as it is shown.
     */
    imageHeight: number;
    /**
     * The picture's size in bytes, as stored.
     */
    imageSize: number;
    /**
     * When the image was created (UTC).
     */
    createdAt?: string;
    /**
     * When a fact about the image last changed (UTC).
     */
    updatedAt?: string;
    /**
     * Where to go on from here.
     */
    _links?: ImageLinks;
}
/**
 * Paths that lead on from an image.
 */
export interface ImageLinks {
    /**
     * The path of the picture's bytes, under the REST base, such as `/v1/workspaces/acme/images/0199.../content`. Needs an access token.
     */
    content: string;
}
/**
 * Response of `ListImages`.
 */
export interface ListImagesResponse {
    /**
     * The images, newest first.
     */
    images: Image[];
    /**
     * Gets the next page. Empty on the last page.
     */
    nextPageToken: string;
}
/**
 * Response of `ListModels`.
 */
export interface ListModelsResponse {
    /**
     * The models, in the order of the catalogue.
     */
    models: Model[];
}
/**
 * One mark of a picture, or that it has none of this kind.
 */
export interface Mark {
    /**
     * How the picture is marked.
     */
    kind: MarkKind;
    /**
     * What was found.
     */
    state: MarkState;
    /**
     * Who made the mark: `provider`, `limner`, or `unknown`. `limner` is said only of what this service's own certificate signed.
     */
    by: string;
    /**
     * Whom the certificate names. Empty without a manifest.
     */
    issuer: string;
    /**
     * When it was signed, by the time stamp of an authority; unset without one.
     */
    time?: string;
    /**
     * What was done to the picture, in the order in which it was done, by C2PA's names, such as `c2pa.created`. At most 64.
     */
    actions: string[];
    /**
     * The pictures that it was made from, and those that they were made from, nearest first. At most 64.
     */
    ingredients: MarkIngredient[];
    /**
     * What is wrong, or worth knowing, in words. At most 16.
     */
    problems: string[];
}
/**
 * How a picture is marked.
 *
 * - `KIND_UNSPECIFIED`: Never sent.
 * - `C2PA`: A signed manifest (C2PA) inside the file.
 * - `WATERMARK`: A pattern in the pixels that no eye sees.
 */
export type MarkKind = "KIND_UNSPECIFIED" | "C2PA" | "WATERMARK";
/**
 * What a look at a mark found.
 *
 * - `STATE_UNSPECIFIED`: Never sent.
 * - `TRUSTED`: The manifest is whole, and a certificate on the operator's list of trust signed it.
 * - `VALID`: The manifest is whole, but nobody on a list of trust vouches for who signed it.
 * - `INVALID`: The picture or its manifest was changed afterwards, or the manifest is broken: `problems` says how.
 * - `DETECTED`: A watermark was found.
 * - `ABSENT`: There is no such mark.
 */
export type MarkState = "STATE_UNSPECIFIED" | "TRUSTED" | "VALID" | "INVALID" | "DETECTED" | "ABSENT";
/**
 * A picture that the marked one was made from, directly or through others.
 */
export interface MarkIngredient {
    /**
     * The image of this workspace that it is. Left out when it is none, or when no manifest of this service says so.
     */
    imageId?: string;
    /**
     * What the manifest calls it.
     */
    title: string;
    /**
     * How its own manifest was when it went in; `ABSENT` when it had none.
     */
    state: MarkState;
}
/**
 * A model of the operator's catalogue and what it can do.
 */
export interface Model {
    /**
     * What callers send as `modelId`.
     */
    id: string;
    /**
     * What the model is, in words.
     */
    description: string;
    /**
     * Its operations: `generate`, `edit`, `upscale`.
     */
    operations: string[];
    /**
     * The aspect ratios that it can draw; `auto` among them when its edits can keep the shape of their first input. Empty for upscalers.
     */
    aspectRatios: string[];
    /**
     * The output formats: `png`, `jpeg`, `webp`.
     */
    outputFormats: string[];
    /**
     * The most images of one request.
     */
    maxImages: number;
    /**
     * The most input images of one edit or upscale; 0 when it takes none.
     */
    maxInputImages: number;
    /**
     * The upscale factors; empty when it does not upscale.
     */
    upscaleFactors: number[];
    /**
     * Whether a `seed` is accepted.
     */
    seeds: boolean;
    /**
     * The longest prompt in characters; 0 when it takes none.
     */
    maxPromptChars: number;
    /**
     * The price of one image in US dollars; absent when unknown.
     */
    priceUsd?: number;
    /**
     * Whether it can work now: its credentials and parts are there.
     */
    ready: boolean;
    /**
     * Why it can't work now. Empty when it is ready.
     */
    unreadyReason: string;
    /**
     * Whether it is the default for `generate`, for `edit`, or for both.
     */
    defaultFor: string[];
}
/**
 * What the marks of a picture say about where it comes from.
 *
 * A mark that is there tells what it says; that a mark is absent tells nothing: marks get lost wherever pictures are changed by programs that don't know them.
 */
export interface Provenance {
    /**
     * One entry per kind of mark that was looked for, those that are absent among them.
     */
    marks: Mark[];
    /**
     * What the manifests say. It is only as credible as they are: see their `state`.
     */
    sourceType: ProvenanceSourceType;
}
/**
 * How a picture came to be, in the words of IPTC's digital source types.
 *
 * - `SOURCE_TYPE_UNSPECIFIED`: Never sent.
 * - `TRAINED_ALGORITHMIC_MEDIA`: Made by a trained model.
 * - `COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA`: A picture that a trained model changed, or put together with others.
 * - `ALGORITHMIC_MEDIA`: Made by a program that was not trained on anything.
 * - `UNKNOWN`: No mark says it.
 */
export type ProvenanceSourceType = "SOURCE_TYPE_UNSPECIFIED" | "TRAINED_ALGORITHMIC_MEDIA" | "COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA" | "ALGORITHMIC_MEDIA" | "UNKNOWN";
/**
 * What happens to a running task.
 */
export type RunTaskEvent = {
    queued: RunTaskEventQueued;
} | {
    progress: RunTaskEventProgress;
} | {
    preview: RunTaskEventPreview;
} | {
    image: Image;
} | {
    completed: Generation;
};
/**
 * An early, rough form of an image. It is not kept.
 */
export interface RunTaskEventPreview {
    /**
     * The image's position among the asked ones, from 0.
     */
    index: number;
    /**
     * The MIME type of `data`.
     */
    contentType: string;
    /**
     * The bytes of the picture.
     */
    data: string;
}
/**
 * The model has done a part of the work.
 */
export interface RunTaskEventProgress {
    /**
     * How much of the whole task is done, 0 to 1.
     */
    fraction: number;
}
/**
 * The task was accepted and is kept under an id.
 */
export interface RunTaskEventQueued {
    /**
     * The id of the generation.
     */
    generationId: string;
}
/**
 * Request of `RunTask`.
 */
export type RunTaskRequest = {
    generate: GenerateImagesRequest;
} | {
    edit: EditImagesRequest;
} | {
    upscale: UpscaleImageRequest;
};
/**
 * Request of `SignContentUrl`.
 */
export interface SignContentUrlRequest {
    /**
     * The image.
     */
    imageId: string;
    /**
     * How long the address is good, in seconds: 1 to 604800, which is 7 days. Default: 3600.
     */
    ttlSeconds?: number;
    /**
     * The width of a derivative, as in `GetImageContent`.
     */
    width?: 128 | 256 | 512 | 1024 | 2048;
    /**
     * The file format of a derivative, as in `GetImageContent`.
     */
    format?: "png" | "jpeg" | "webp" | "avif";
}
/**
 * Response of `SignContentUrl`.
 */
export interface SignContentUrlResponse {
    /**
     * The address. Over gRPC a path below the service's own address, unless the operator set the public one.
     */
    url: string;
    /**
     * When it expires.
     */
    expiresAt?: string;
}
/**
 * A warning about a task that was done in part.
 */
export interface TaskDetail {
    /**
     * `PARTIAL_RESULT` when some pictures could not be made, `PARTIAL_QUOTA` when the quota did not suffice for all, `UNMARKED_RESULT` when all were made and some could not be marked.
     */
    code: string;
    /**
     * The warning in words.
     */
    message: string;
    /**
     * How many images were asked for.
     */
    requestedImages: number;
    /**
     * How many images were made.
     */
    createdImages: number;
    /**
     * Each image that is missing, in order.
     */
    missingImages: TaskDetailMissingImage[];
    /**
     * Each image that could not be marked, in order.
     */
    unmarkedImages: TaskDetailUnmarkedImage[];
}
/**
 * One picture that was asked for and is not there.
 */
export interface TaskDetailMissingImage {
    /**
     * Its position among the asked pictures, from 0.
     */
    index: number;
    /**
     * Why it is missing: the name of an `ErrorReason`.
     */
    reason: string;
    /**
     * The same in words.
     */
    message: string;
}
/**
 * One picture that was made and kept, but not marked as the service is set to mark them.
 */
export interface TaskDetailUnmarkedImage {
    /**
     * The image.
     */
    imageId: string;
    /**
     * What happened, in words.
     */
    message: string;
}
/**
 * Request of `UpscaleImage`.
 */
export interface UpscaleImageRequest {
    /**
     * The id of the image to upscale, in this workspace and created by the caller.
     */
    imageId: string;
    /**
     * The id of an upscaling model of the catalogue.
     */
    modelId: string;
    /**
     * How many times larger each edge gets: one of the model's factors.
     */
    upscaleFactor: number;
    /**
     * The file format of the images: `png`, `jpeg` or `webp`. Left out, they are the bytes as the model made them when those are one of these, else `png`; `parameters.outputFormat` of each image says which.
     */
    outputFormat?: "png" | "jpeg" | "webp";
    /**
     * Makes the call safe to repeat: the same id and the same request answer the same images and buy nothing again. 1 to 128 visible characters, remembered for at least 24 hours per workspace, user and kind of task. The header `Idempotency-Key` does the same.
     */
    requestId?: string;
}
/**
 * Response of `UpscaleImage`.
 */
export interface UpscaleImageResponse {
    /**
     * The created images.
     */
    images: Image[];
    /**
     * Groups the images that were created together.
     */
    generationId: string;
    /**
     * What the provider said about the images, if anything.
     */
    description: string;
    /**
     * Present only as a warning: fewer images were made than asked for.
     */
    detail?: TaskDetail;
    /**
     * Present only in an answer that did not wait for the images, asked for by the header `Prefer: respond-async`: `RUNNING`. `GetGeneration` goes on.
     */
    state?: GenerationState;
}
/**
 * What a workspace used in the running month (UTC).
 */
export interface Usage {
    /**
     * The workspace.
     */
    workspaceId: string;
    /**
     * The month, such as `2026-11`.
     */
    month: string;
    /**
     * The images of the month.
     */
    images?: UsageImages;
    /**
     * The money of the month.
     */
    money?: UsageMoney;
}
/**
 * A count of images.
 */
export interface UsageImages {
    /**
     * The most images of a month; absent when there is no limit.
     */
    limit?: number;
    /**
     * The images made this month, the ones deleted since among them. Uploads don't count.
     */
    used: number;
    /**
     * The images that running generations may still make.
     */
    reserved: number;
}
/**
 * An amount of money.
 */
export interface UsageMoney {
    /**
     * Always `USD`.
     */
    currency: string;
    /**
     * The most money of a month; absent when there is no limit.
     */
    limit?: number;
    /**
     * The money spent this month, by the prices of the catalogue.
     */
    used: number;
    /**
     * The money that running generations may still cost.
     */
    reserved: number;
}
