"""Where the files of known networks are downloaded from, their sizes and their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from veriwild_clustering.images.models.record import ModelFile

__all__ = ["FILES"]

_GITHUB = "https://raw.githubusercontent.com"
_HUGGING_FACE = "https://huggingface.co"
_OPEN_MODEL_ZOO = "https://storage.openvinotoolkit.org/repositories/open_model_zoo"
_ATTRIBUTES = "vehicle-attributes-recognition-barrier-0039"
_DETECTION = "vehicle-detection-0202"
_SUPER_RESOLUTION = "single-image-super-resolution-1033"
_NEURAL_STICK = f"{_GITHUB}/VictorHidalgoUCLM/NeuralComputeStick2/6e45d948ee64d02d59b7c8a5533500855bcfdb24/intel"

# An address whose content may change names no commit; the checksum then says that it has.
_KNOWN = (
    # Of these only weights for torch are offered; encoder and decoder are exported from them.
    ModelFile("mobile_sam_encoder.onnx"),
    ModelFile("mobile_sam_decoder.onnx"),
    ModelFile("sam_vit_b_encoder.onnx"),
    ModelFile("sam_vit_b_decoder.onnx"),
    # Nobody offers the pooled features of this network as ONNX.
    ModelFile("efficientnet_b7_features.onnx"),
    # Its checksum has not been published.
    ModelFile(
        "osnet_x1_0_op10.onnx",
        f"{_GITHUB}/FastSense/nnio/master/models/person-reid/osnet_x1_0/osnet_x1_0_op10.onnx",
    ),
    ModelFile(
        "osnet_x0_25_market1501.onnx",
        f"{_GITHUB}/Quectel-Pi/demo-people-counting-device/HEAD/src/osnet_x0_25_market1501.onnx",
        "e83f54fa58193de548888eacfe2ebe8bd2eb9a3624203fec436d59343f0c3198",
        n_bytes=864_020,
    ),
    ModelFile(
        "vgg16-7.onnx",
        f"{_HUGGING_FACE}/onnxmodelzoo/legacy_models/resolve/main/validated/vision/classification/vgg/model/vgg16-7.onnx",
        "f20805a3ecccaa88647bbab4ad011ff2412a9838485ea844de0fcbce349820b9",
        n_bytes=553_437_328,
    ),
    ModelFile(
        "clip_vit_b_32_vision.onnx",
        f"{_HUGGING_FACE}/Qdrant/clip-ViT-B-32-vision/resolve/a636590e595dbbd798647c9dd4550d5652fba969/model.onnx",
        "c68d3d9a200ddd2a8c8a5510b576d4c94d1ae383bf8b36dd8c084f94e1fb4d63",
        n_bytes=351_686_194,
    ),
    ModelFile(
        "clip_vit_b_32_text.onnx",
        f"{_HUGGING_FACE}/Qdrant/clip-ViT-B-32-text/resolve/48ca1db27cb4063eb311ec2aa7f087a808112876/model.onnx",
        "4dbe762b11e36488304471e439cde89da053ad7acaddbf9e096745d142ec8d8b",
        n_bytes=254_102_519,
    ),
    ModelFile(
        "bpe_simple_vocab_16e6.txt.gz",
        f"{_GITHUB}/mlfoundations/open_clip/v2.24.0/src/open_clip/bpe_simple_vocab_16e6.txt.gz",
        "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
        n_bytes=1_356_917,
    ),
    ModelFile(
        "dinov2_small.onnx",
        f"{_HUGGING_FACE}/Xenova/dinov2-small/resolve/c2bb04a51fab207c420665f1946016107bffc701/onnx/model.onnx",
        "83141175ec78b4ff9a2bb58a4c7c264ba0054d1c2e122e5a8114b79a8d4179ea",
        n_bytes=88_459_888,
    ),
    ModelFile(
        "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite",
        f"{_GITHUB}/google-coral/test_data/104342d2d3480b3e66203073dac24f4e2dbb4c41"
        "/mobilenet_v1_1.0_224_quant_embedding_extractor.tflite",
        "f409ef4f73fcbb9667841965623c5c8524aac33d41b9bf5f3667161fb4a76319",
        n_bytes=3_251_736,
    ),
    ModelFile(
        "deeplabv3_mnv2_pascal_quant.tflite",
        f"{_GITHUB}/google-coral/test_data/104342d2d3480b3e66203073dac24f4e2dbb4c41/deeplabv3_mnv2_pascal_quant.tflite",
        "350af47fd346ea6d74b58833a351f583ba860e9806ec5bd292ff8d8f1f249398",
        n_bytes=2_193_224,
    ),
    ModelFile(
        f"{_ATTRIBUTES}.xml",
        f"{_OPEN_MODEL_ZOO}/2021.4/models_bin/3/{_ATTRIBUTES}/FP32/{_ATTRIBUTES}.xml",
        "3ed1d4cc6fc1becf763a39c95154917a7b81eda2d77f7bcd6ee56b0e7409e6ad",
        n_bytes=39_740,
    ),
    ModelFile(
        f"{_ATTRIBUTES}.bin",
        f"{_OPEN_MODEL_ZOO}/2021.4/models_bin/3/{_ATTRIBUTES}/FP32/{_ATTRIBUTES}.bin",
        "fc556ae02cecb5c19d7bed84f8b4b289144dde11509d2ad12f38eee3cdba43d9",
        n_bytes=2_504_028,
    ),
    ModelFile(
        "yolov10s.onnx",
        f"{_HUGGING_FACE}/onnx-community/yolov10s/resolve/7485ebdc9f6c8ffe6396a5b1ae02c09ac173be0c/onnx/model.onnx",
        "e2df1b4f5190e1ab4b7305181b2a80eb84ed7cc36d11aee0318781e91b0ad0b8",
        n_bytes=29_187_904,
    ),
    ModelFile(
        "yolox_nano.onnx",
        f"{_GITHUB}/Kazuhito00/vehicle-reid-0001-onnx-sample/HEAD/yolox/model/yolox_nano.onnx",
        "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
        n_bytes=3_660_092,
    ),
    ModelFile(
        f"{_DETECTION}.xml",
        f"{_OPEN_MODEL_ZOO}/2023.0/models_bin/1/{_DETECTION}/FP16/{_DETECTION}.xml",
        "08b844a402a615605a626261fd9e27161a044845426ece5aa0872203c50bb5a2",
        n_bytes=254_888,
    ),
    ModelFile(
        f"{_DETECTION}.bin",
        f"{_OPEN_MODEL_ZOO}/2023.0/models_bin/1/{_DETECTION}/FP16/{_DETECTION}.bin",
        "c0a602428cfd71ac63a533c23b7cdb8c83e144f118a81001420246701daf0c78",
        n_bytes=3_634_654,
    ),
    ModelFile(
        "EDSR_x3.pb",
        f"{_GITHUB}/Saafke/EDSR_Tensorflow/master/models/EDSR_x3.pb",
        "3baa3740fdb8ee9c52f1a41d69fa74cb9feef0fa9bfeec24f0ee58b928068e9a",
        n_bytes=38_524_784,
    ),
    ModelFile(
        "FSRCNN_x3.pb",
        f"{_GITHUB}/Saafke/FSRCNN_Tensorflow/master/models/FSRCNN_x3.pb",
        "efd38655a815908c6c8954db6052f128e76a735f1de657894c477d0dc0b64481",
        n_bytes=40_093,
    ),
    ModelFile(
        "ESPCN_x3.pb",
        f"{_GITHUB}/fannymonori/TF-ESPCN/master/export/ESPCN_x3.pb",
        "0e667db7a431d14c32568ed79bf21701a64df8b1d162e48ca1f8800affe2c2b3",
        n_bytes=92_226,
    ),
    ModelFile(
        f"{_SUPER_RESOLUTION}.xml",
        f"{_NEURAL_STICK}/{_SUPER_RESOLUTION}/FP32/{_SUPER_RESOLUTION}.xml",
        "d8bcb26ba2d6bf5065ad78aa177c40a4383ff64ec0c4445c33c16f927b5721c7",
        n_bytes=57_397,
    ),
    ModelFile(
        f"{_SUPER_RESOLUTION}.bin",
        f"{_NEURAL_STICK}/{_SUPER_RESOLUTION}/FP32/{_SUPER_RESOLUTION}.bin",
        "ba6247c93395bc0649986f28dec0c745d543afcf667c732877b712e05564fb16",
        n_bytes=121_780,
    ),
)

FILES: Mapping[str, ModelFile] = MappingProxyType({file.name: file for file in _KNOWN})
