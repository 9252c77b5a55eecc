// The engine of an optimizer that is used from Python, as a custom class that
// torch.ops.load_library brings: torch.classes.rowlane.RowOptimizer.
//
// Python has the parameters, the groups' options and the states, in dicts that C++ can't see. It
// says what they are before each step, in set_group() and set_state(), and takes what has become of
// the state by state().
#include <torch/custom_class.h>

#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "csrc/ops/embedding.h"
#include "csrc/optim/look_up.h"
#include "csrc/optim/row_optimizer_impl.h"

namespace rowlane::optim::detail {
namespace {

using OptionalTensor = std::optional<at::Tensor>;
using OptionalTensors = c10::List<OptionalTensor>;
// Its tensors, how many steps it has counted, row_steps and master.
using State = std::tuple<OptionalTensors, std::int64_t, OptionalTensor, OptionalTensor>;

OptionalTensor optional_of(const at::Tensor& tensor) {
  return tensor.defined() ? OptionalTensor(tensor) : std::nullopt;
}

DenseGradients parse_dense_gradients(const std::string& name) {
  if (name == "all_rows") {
    return DenseGradients::kAllRows;
  }
  TORCH_CHECK_VALUE(name == "torch" || name == "refused",
                    "rowlane::RowOptimizer: dense_gradients must be torch, all_rows or refused, "
                    "got '",
                    name, "'");
  return name == "torch" ? DenseGradients::kTorch : DenseGradients::kRefused;
}

class PythonOptimizer final : public torch::CustomClassHolder, public RowOptimizerImpl {
 public:
  PythonOptimizer(const std::string& name, const std::string& rule, const std::string& dense)
      : RowOptimizerImpl(name, ops::parse_rule(name, rule), parse_dense_gradients(dense)) {}

  StepSettings settings(const RowTable& table) override { return kept_.at(&table).settings; }

  StateSlots state(const RowTable& table, bool /*make*/) override {
    Kept& kept = kept_[&table];
    kept.tensors.resize(state_names(rule()).size());
    StateSlots slots{{}, counts_steps(rule()) ? &kept.num_steps : nullptr};
    for (at::Tensor& tensor : kept.tensors) {
      slots.tensors.push_back(&tensor);
    }
    return slots;
  }

  [[nodiscard]] std::vector<std::string> state_names_of_rule() const {
    std::vector<std::string> names;
    for (const StateName& state : state_names(rule())) {
      names.emplace_back(state.name);
    }
    return names;
  }

  // The options are semantics (whether it is dense_equivalent), per_row_steps, stochastic_rounding,
  // master_weights, and whether state_dtype is float.
  static RowOptions parse_options(const c10::List<bool>& options) {
    TORCH_CHECK_VALUE(options.size() == 5, "rowlane::RowOptimizer: options must be 5, got ",
                      options.size());
    RowOptions parsed;
    parsed.semantics(options[0] ? RowSemantics::kDenseEquivalent : RowSemantics::kLazy)
        .per_row_steps(options[1])
        .stochastic_rounding(options[2])
        .master_weights(options[3]);
    if (options[4]) {
      parsed.state_dtype(at::kFloat);
    }
    return parsed;
  }
  void check_group(const c10::List<bool>& options) const { check_options(parse_options(options)); }

  // The settings are lr, weight_decay, is_decoupled, beta1, beta2, eps, is_nesterov, lr_decay,
  // initial, amsgrad, maximize.
  void set_group(const at::Tensor& weight, std::int64_t position,
                 const std::vector<double>& settings, const c10::List<bool>& options) {
    constexpr std::size_t kNumNumbers = ops::kNumStepNumbers - 1;  // but for the step
    TORCH_CHECK_VALUE(settings.size() == kNumNumbers + 4,
                      "rowlane::RowOptimizer: settings must be ", kNumNumbers + 4, ", got ",
                      settings.size());
    std::vector<double> numbers(settings.begin(), settings.begin() + kNumNumbers);
    numbers.push_back(1);
    const RowOptions parsed = parse_options(options);
    std::shared_ptr<RowTable> table = find_table(weight);
    if (table == nullptr) {
      table = add_table(weight, position, parsed);
    }
    kept_.at(table.get()).settings = {.numbers = ops::parse_numbers(name(), numbers),
                                      .lr_decay = settings[kNumNumbers],
                                      .initial = settings[kNumNumbers + 1],
                                      .amsgrad = settings[kNumNumbers + 2] != 0,
                                      .maximize = settings[kNumNumbers + 3] != 0};
    table->set_options(parsed);
  }

  void set_state(const at::Tensor& weight, const OptionalTensors& tensors, std::int64_t num_steps,
                 const OptionalTensor& row_steps, const OptionalTensor& master) {
    RowTable& table = table_of(weight);
    Kept& kept = kept_.at(&table);
    TORCH_CHECK_VALUE(tensors.size() == kept.tensors.size(),
                      "rowlane::RowOptimizer: the rule keeps ", kept.tensors.size(),
                      " tensors, got ", tensors.size());
    // Python counts in float.
    bool is_same = (!counts_steps(rule()) ||
                    static_cast<float>(num_steps) == static_cast<float>(kept.num_steps)) &&
                   row_steps.value_or(at::Tensor()).is_same(table.row_steps_to_save()) &&
                   master.value_or(at::Tensor()).is_same(table.master());
    for (std::size_t i = 0; i < kept.tensors.size(); ++i) {
      is_same = is_same && tensors.get(i).value_or(at::Tensor()).is_same(kept.tensors[i]);
    }
    if (is_same) {
      return;
    }
    table.flush();
    for (std::size_t i = 0; i < kept.tensors.size(); ++i) {
      kept.tensors[i] = tensors.get(i).value_or(at::Tensor());
    }
    kept.num_steps = num_steps;
    table.load(row_steps.value_or(at::Tensor()), master.value_or(at::Tensor()));
  }

  [[nodiscard]] State state_of(const at::Tensor& weight) const {
    const RowTable& table = table_of(weight);
    const Kept& kept = kept_.at(&table);
    OptionalTensors tensors;
    for (const at::Tensor& tensor : kept.tensors) {
      tensors.push_back(optional_of(tensor));
    }
    return {tensors, kept.num_steps, optional_of(table.row_steps_to_save()),
            optional_of(table.master())};
  }

  [[nodiscard]] RowTable& table_of(const at::Tensor& weight) const {
    const std::shared_ptr<RowTable> table = find_table(weight);
    TORCH_CHECK_VALUE(
        table != nullptr, name(),
        ": weight must be one of the optimizer's parameters, got another tensor of shape ",
        weight.sizes());
    return *table;
  }

  at::Tensor look_up(const at::Tensor& weight, const at::Tensor& indices, bool is_fused,
                     std::optional<std::int64_t> padding_idx, std::optional<double> max_norm,
                     double norm_type, bool scale_grad_by_freq, bool sparse, bool row_gradient,
                     const std::string& algorithm) {
    static_cast<void>(table_of(weight));  // or there is none
    return detail::look_up(find_table(weight), indices,
                           func_options("rowlane::embedding", padding_idx, max_norm, norm_type,
                                        scale_grad_by_freq, sparse, row_gradient, algorithm),
                           is_fused);
  }

  void check_fuse(const at::Tensor& weight, std::optional<double> max_norm, bool scale_grad_by_freq,
                  bool sparse, const std::string& algorithm) const {
    detail::check_fuse(table_of(weight),
                       func_options("rowlane::nn::Embedding::fuse", std::nullopt, max_norm, 2,
                                    scale_grad_by_freq, sparse, false, algorithm));
  }

 private:
  struct Kept {
    StepSettings settings;
    std::vector<at::Tensor> tensors;
    std::int64_t num_steps = 0;
  };

  static EmbeddingFuncOptions func_options(std::string_view op,
                                           std::optional<std::int64_t> padding_idx,
                                           std::optional<double> max_norm, double norm_type,
                                           bool scale_grad_by_freq, bool sparse, bool row_gradient,
                                           const std::string& algorithm) {
    return EmbeddingFuncOptions()
        .padding_idx(padding_idx)
        .max_norm(max_norm)
        .norm_type(norm_type)
        .scale_grad_by_freq(scale_grad_by_freq)
        .sparse(sparse)
        .row_gradient(row_gradient)
        .algorithm(ops::parse_algorithm(op, algorithm));
  }

  std::unordered_map<const RowTable*, Kept> kept_;
};

using Self = c10::intrusive_ptr<PythonOptimizer>;

}  // namespace

TORCH_LIBRARY_FRAGMENT(rowlane, m) {
  m.class_<PythonOptimizer>("RowOptimizer")
      .def(torch::init<std::string, std::string, std::string>())
      .def("state_names", &PythonOptimizer::state_names_of_rule)
      .def("check_group", &PythonOptimizer::check_group)
      .def("set_group", &PythonOptimizer::set_group)
      .def("set_state", &PythonOptimizer::set_state)
      .def("state", &PythonOptimizer::state_of)
      .def("has_table",
           [](const Self& self, const at::Tensor& weight) {
             return self->find_table(weight) != nullptr;
           })
      .def("check_gradient",
           [](const Self& self, const at::Tensor& weight, const at::Tensor& gradient) {
             self->table_of(weight).check_gradient(gradient);
           })
      // By the gradient, divided by scale.
      .def("step",
           [](const Self& self, const at::Tensor& weight, const at::Tensor& gradient,
              const OptionalTensor& scale) {
             self->table_of(weight).step(gradient, scale.value_or(at::Tensor()));
           })
      .def("look_up", &PythonOptimizer::look_up)
      .def("check_fuse", &PythonOptimizer::check_fuse)
      .def("is_fused",
           [](const Self& self, const at::Tensor& weight) {
             const auto table = self->find_table(weight);
             return table != nullptr && table->is_fused();
           })
      .def("set_fused", [](const Self& self, const at::Tensor& weight,
                           bool is_fused) { self->table_of(weight).set_fused(is_fused); })
      .def("check_has_no_gradient",
           [](const Self& self, const at::Tensor& weight) {
             self->table_of(weight).check_has_no_gradient();
           })
      .def("allow_fused_step",
           [](const Self& self, const at::Tensor& weight) {
             self->table_of(weight).allow_fused_step();
           })
      .def("has_rows_behind",
           [](const Self& self, const at::Tensor& weight) {
             return self->table_of(weight).has_rows_behind();
           })
      .def("catch_up", [](const Self& self, const at::Tensor& weight,
                          const at::Tensor& indices) { self->table_of(weight).catch_up(indices); })
      .def("flush",
           [](const Self& self, const at::Tensor& weight) { self->table_of(weight).flush(); })
      .def("num_history_lines", [](const Self& self, const at::Tensor& weight) {
        return self->table_of(weight).num_history_lines();
      });
}

}  // namespace rowlane::optim::detail
