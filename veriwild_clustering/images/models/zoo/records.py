"""The networks that are known by name: what goes in, what comes out, under which licence."""

from __future__ import annotations

from functools import partial

from veriwild_clustering.images.models.record import ImageInput, Model, ModelFile
from veriwild_clustering.images.models.zoo.files import FILES

__all__ = ["RECORDS"]

_COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

_PASCAL = (
    "background", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table",
    "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv",
)  # fmt: skip

_imagenet = partial(ImageInput, scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_embedding = partial(Model, task="embedding")
_detector = partial(Model, task="detection")
_segmenter = partial(
    Model, task="segmentation", license="Apache-2.0", input=_imagenet(1024, 1024, resize_with="pillow"), decoder="sam"
)
_upscaler = partial(Model, task="super-resolution", license="Apache-2.0", scale_factor=3)


def _files(*names: str) -> tuple[ModelFile, ...]:
    return tuple(FILES[name] for name in names)


_attributes = partial(
    Model,
    task="attributes",
    files=_files(
        "vehicle-attributes-recognition-barrier-0039.xml",
        "vehicle-attributes-recognition-barrier-0039.bin",
    ),
    license="Apache-2.0",
    source="https://docs.openvino.ai/2023.3/omz_models_model_vehicle_attributes_recognition_barrier_0039.html",
    input=ImageInput(72, 72, color="BGR"),
)

RECORDS = (
    _embedding(
        "efficientnet-b7",
        files=_files("efficientnet_b7_features.onnx"),
        license="Apache-2.0",
        source="https://huggingface.co/timm/tf_efficientnet_b7.ra_in1k (timm, with num_classes=0)",
        input=_imagenet(600, 600, "crop", interpolation="bicubic", resize_with="pillow"),
        n_features=2560,
    ),
    _embedding(
        "osnet-x1-0",
        files=_files("osnet_x1_0_op10.onnx"),
        license="MIT",
        source="https://arxiv.org/abs/1905.00953",
        input=_imagenet(256, 128, resize_with="pillow"),
        n_features=512,
    ),
    _embedding(
        "osnet-x0-25",
        files=_files("osnet_x0_25_market1501.onnx"),
        license="MIT",
        source="https://arxiv.org/abs/1905.00953",
        input=_imagenet(256, 128),
        n_features=512,
    ),
    _embedding(
        "vgg16",
        files=_files("vgg16-7.onnx"),
        license="Apache-2.0",
        source="https://arxiv.org/abs/1409.1556",
        input=_imagenet(224, 224, "crop", resize_with="pillow"),
        output="vgg0_dense1_relu_fwd",  # the last layer but one; the last names the classes of ImageNet
        n_features=4096,
    ),
    _embedding(
        "clip-vit-b-32",
        files=_files("clip_vit_b_32_vision.onnx"),
        license="MIT",
        source="https://arxiv.org/abs/2103.00020",
        input=_imagenet(
            224,
            224,
            "crop",
            interpolation="bicubic",
            resize_with="pillow",
            mean=(0.48145466, 0.4578275, 0.40821073),
            std=(0.26862954, 0.26130258, 0.27577711),
        ),
        output="image_embeds",
        n_features=512,
    ),
    Model(
        "clip-vit-b-32-text",
        task="text embedding",
        files=_files("clip_vit_b_32_text.onnx", "bpe_simple_vocab_16e6.txt.gz"),
        license="MIT",
        source="https://arxiv.org/abs/2103.00020",
        output="text_embeds",
        n_features=512,
    ),
    Model(
        "clip-vocabulary",
        task="vocabulary",
        files=_files("bpe_simple_vocab_16e6.txt.gz"),
        license="MIT",
        source="https://arxiv.org/abs/2103.00020",
    ),
    _embedding(
        "dinov2-small",
        files=_files("dinov2_small.onnx"),
        license="Apache-2.0",
        source="https://arxiv.org/abs/2304.07193",
        input=_imagenet(224, 224, "crop", interpolation="bicubic", resize_with="pillow"),
        output="last_hidden_state",
        pooling="first",
        n_features=384,
    ),
    _embedding(
        "mobilenet-v1",
        files=_files("mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"),
        license="Apache-2.0",
        source="https://arxiv.org/abs/1704.04861",
        input=ImageInput(224, 224, layout="NHWC", dtype="uint8"),
        n_features=1024,
    ),
    # The maps before bias, rectifier and mean over positions: where on the vehicle which colour or type is seen.
    _attributes(
        "vehicle-attributes-0039-color",
        output="conv_color/WithoutBiases",
        n_features=7 * 5 * 5,
        labels=("white", "gray", "yellow", "red", "green", "blue", "black"),
    ),
    _attributes(
        "vehicle-attributes-0039-type",
        output="conv_type/WithoutBiases",
        n_features=4 * 5 * 5,
        labels=("car", "bus", "truck", "van"),
    ),
    _detector(
        "yolov10s",
        files=_files("yolov10s.onnx"),
        license="AGPL-3.0-only",
        source="https://arxiv.org/abs/2405.14458",
        input=ImageInput(640, 640, "letterbox-center", scale=1 / 255),
        labels=_COCO,
        decoder="yolov10",
    ),
    _detector(
        "yolox-nano",
        files=_files("yolox_nano.onnx"),
        license="Apache-2.0",
        source="https://arxiv.org/abs/2107.08430",
        input=ImageInput(416, 416, "letterbox", color="BGR"),
        labels=_COCO,
        decoder="yolox",
    ),
    _detector(
        "vehicle-detection-0202",
        files=_files("vehicle-detection-0202.xml", "vehicle-detection-0202.bin"),
        license="Apache-2.0",
        source="https://docs.openvino.ai/2023.3/omz_models_model_vehicle_detection_0202.html",
        input=ImageInput(512, 512, color="BGR"),
        labels=("vehicle",),
        decoder="openvino-ssd",
    ),
    _segmenter(
        "mobile-sam",
        files=_files("mobile_sam_encoder.onnx", "mobile_sam_decoder.onnx"),
        source="https://arxiv.org/abs/2306.14289 (export the image encoder, and the decoder for points and boxes)",
    ),
    _segmenter(
        "sam-vit-b",
        files=_files("sam_vit_b_encoder.onnx", "sam_vit_b_decoder.onnx"),
        source="https://arxiv.org/abs/2304.02643 (export the image encoder, and the decoder for points and boxes)",
    ),
    Model(
        "deeplab-v3",
        task="segmentation",
        files=_files("deeplabv3_mnv2_pascal_quant.tflite"),
        license="Apache-2.0",
        source="https://arxiv.org/abs/1706.05587",
        input=ImageInput(513, 513, layout="NHWC", dtype="uint8"),
        labels=_PASCAL,
        decoder="classes",
    ),
    _upscaler("edsr-x3", files=_files("EDSR_x3.pb"), source="https://arxiv.org/abs/1707.02921", decoder="edsr"),
    _upscaler("fsrcnn-x3", files=_files("FSRCNN_x3.pb"), source="https://arxiv.org/abs/1608.00367", decoder="fsrcnn"),
    _upscaler("espcn-x3", files=_files("ESPCN_x3.pb"), source="https://arxiv.org/abs/1609.05158", decoder="espcn"),
    _upscaler(
        "sisr-1033",
        files=_files("single-image-super-resolution-1033.xml", "single-image-super-resolution-1033.bin"),
        source="https://docs.openvino.ai/2023.3/omz_models_model_single_image_super_resolution_1033.html",
        decoder="openvino-1033",
    ),
)
