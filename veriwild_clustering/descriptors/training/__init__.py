"""Images -> an own descriptor: a convolutional autoencoder, trained, resumed and exported to ONNX."""
