// What the optimizers have in common that torch doesn't have.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <torch/optim/optimizer.h>
#include <torch/optim/serialize.h>
#include <torch/serialize/archive.h>

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rowlane/export.h"
#include "rowlane/optim/row_optimizer.h"

namespace rowlane::optim {

// Archives and comparisons of a struct with static fields(): a tuple of pairs of a name and a
// pointer to a member.
template <typename Derived, typename Base>
// NOLINTNEXTLINE(bugprone-crtp-constructor-accessibility): as torch's bases
struct WithFields : public Base {
  void serialize(torch::serialize::OutputArchive& archive) const override {
    for_each_field([&]<typename T>(const char* name, T Derived::*member) {
      const T& value = static_cast<const Derived&>(*this).*member;
      // As torch does it: a tensor that is undefined isn't written.
      if constexpr (std::is_same_v<T, at::Tensor>) {
        if (!value.defined()) {
          return;
        }
      }
      archive.write(name, c10::IValue(value));
    });
  }
  void serialize(torch::serialize::InputArchive& archive) override {
    for_each_field([&]<typename T>(const char* name, T Derived::*member) {
      c10::IValue read;
      if (archive.try_read(name, read)) {
        static_cast<Derived&>(*this).*member = read.to<T>();
      }
    });
  }
  friend bool operator==(const Derived& lhs, const Derived& rhs) {
    bool is_equal = true;
    for_each_field([&]<typename T>(const char* /*name*/, T Derived::*member) {
      if constexpr (std::is_same_v<T, at::Tensor>) {
        is_equal = is_equal && (lhs.*member).defined() == (rhs.*member).defined() &&
                   (!(lhs.*member).defined() || (lhs.*member).equal(rhs.*member));
      } else {
        is_equal = is_equal && lhs.*member == rhs.*member;
      }
    });
    return is_equal;
  }

 private:
  template <typename Function>
  static void for_each_field(Function&& function) {
    std::apply([&](const auto&... field) { (function(field.first, field.second), ...); },
               Derived::fields());
  }
};

template <typename Derived>
// NOLINTNEXTLINE(bugprone-crtp-constructor-accessibility): as torch's bases
struct OwnOptions : public WithFields<Derived, torch::optim::OptimizerCloneableOptions<Derived>> {
  double get_lr() const override { return static_cast<const Derived&>(*this).lr(); }
  void set_lr(double lr) override { static_cast<Derived&>(*this).lr(lr); }
};

template <typename Derived>
using OwnState = WithFields<Derived, torch::optim::OptimizerCloneableParamState<Derived>>;

// Every parameter takes steps of rows.
template <typename Options, typename State>
class ROWLANE_EXPORT OwnOptimizer : public torch::optim::Optimizer, public RowOptimizer {
 public:
  at::Tensor step(LossClosure closure = nullptr) override {
    return step_rows(closure, /*dense_step=*/nullptr);
  }
  void save(torch::serialize::OutputArchive& archive) const override {
    save_rows(archive);
    torch::optim::serialize<State, Options>(archive, *this);
  }
  void load(torch::serialize::InputArchive& archive) override {
    flush();
    torch::optim::serialize<State, Options>(archive, *this);
    load_rows(archive);
  }

 protected:
  OwnOptimizer(const std::vector<torch::optim::OptimizerParamGroup>& param_groups,
               const Options& options, const detail::RowRule& rule, const RowOptions& row_options)
      : torch::optim::Optimizer(param_groups, std::make_unique<Options>(options)),
        RowOptimizer(*this, rule, row_options) {}
};

}  // namespace rowlane::optim
