//! The classes and functions a pickle may name.

use crate::ElementType;

/// What a permitted name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`
    RebuildParameter,
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch.FloatStorage` and the like
    Storage(ElementType),
    /// A class of a TorchScript archive; its objects are read as dictionaries.
    ScriptClass,
    /// `torch.jit._pickle.build_intlist` and the like, which return the list they are given.
    ScriptList,
}

/// Looks a name up in the list.
pub(crate) fn find(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Global::RebuildParameter
        }
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch", storage) => Global::Storage(match storage {
            "HalfStorage" => ElementType::F16,
            "BFloat16Storage" => ElementType::BF16,
            "FloatStorage" => ElementType::F32,
            "DoubleStorage" => ElementType::F64,
            "LongStorage" => ElementType::I64,
            "IntStorage" => ElementType::I32,
            "ShortStorage" => ElementType::I16,
            "CharStorage" => ElementType::I8,
            "ByteStorage" => ElementType::U8,
            "BoolStorage" => ElementType::Bool,
            _ => return None,
        }),
        (
            "torch.jit._pickle",
            "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist",
        ) => Global::ScriptList,
        (module, _) if module == "__torch__" || module.starts_with("__torch__.") => {
            Global::ScriptClass
        }
        _ => return None,
    })
}
