"""Changes to the graph of an ONNX file before it is opened: an inner node as its output, a batch of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["free_batch", "take_output", "tensor_names"]


def tensor_names(graph: Any) -> dict[str, str]:
    """Return the names by which the tensors of a graph can be asked for: their own, and those of their nodes."""
    by_node = {node.name: node.output[0] for node in graph.node if node.name and node.output}
    return by_node | {name: name for node in graph.node for name in node.output if name}


def take_output(graph: Any, tensor: str) -> None:
    """Make a tensor the only output, so that nothing beyond it is computed."""
    from onnx.helper import make_empty_tensor_value_info

    del graph.output[:]
    graph.output.append(make_empty_tensor_value_info(tensor))  # its type is inferred when the graph is opened


def free_batch(graph: Any) -> None:
    """Free the first axis of all inputs and outputs from the size that it had when the graph was written.

    A Reshape whose shape begins with that size takes over the first axis of what it gets instead. What else relies on
    the size is not found here: whoever opens the graph compares its rows with single ones.
    """
    weights = {weight.name for weight in graph.initializer}
    ports = [port for port in graph.input if port.name not in weights]
    (size,) = {_first_axis(port).dim_value for port in ports}
    for port in [*ports, *graph.output]:
        if port.type.tensor_type.shape.dim:
            _first_axis(port).dim_param = "batch"
    del graph.value_info[:]  # inferred again when the graph is opened
    for node in list(_reshapes(graph, {port.name for port in ports})):
        _keep_first_axis(graph, node, size)


def _first_axis(port: Any) -> Any:
    return port.type.tensor_type.shape.dim[0]


def _reshapes(graph: Any, variable: set[str]) -> Iterator[Any]:
    """Yield the Reshapes of what depends on the inputs."""
    for node in graph.node:
        if variable.intersection(node.input):
            variable.update(node.output)
            if node.op_type == "Reshape":
                yield node


def _keep_first_axis(graph: Any, node: Any, size: int) -> None:
    from onnx.numpy_helper import from_array

    shape = _constant(graph, node.input[1])
    if shape is None or not len(shape) or shape[0] != size:
        return
    name = f"{node.output[0]} of any batch"  # a shape of its own: others may share the old one
    graph.initializer.append(from_array(np.array([0, *shape[1:]], dtype=np.int64), name))
    node.input[1] = name
    for attribute in [one for one in node.attribute if one.name == "allowzero"]:
        node.attribute.remove(attribute)  # with it, 0 would be a size and not "as it was"


def _constant(graph: Any, name: str) -> Any:
    """Return the value of a constant tensor, None if it is computed."""
    from onnx.numpy_helper import to_array

    for weight in graph.initializer:
        if weight.name == name:
            return to_array(weight)
    for node in graph.node:
        if node.op_type == "Constant" and name in node.output:
            return next((to_array(one.t) for one in node.attribute if one.name == "value"), None)
    return None
